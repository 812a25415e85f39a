const isDark = window.matchMedia('(prefers-color-scheme: dark)')
const followScheme = () => document.documentElement.classList.toggle('dark-mode', isDark.matches)
followScheme()
isDark.addEventListener('change', followScheme)

window.SwaggerUIBundle({
  url: 'openapi.json',
  dom_id: '#api',
  deepLinking: true,
  // Nothing is sent elsewhere.
  validatorUrl: null,
})
