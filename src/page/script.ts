/**
 * What an open page runs: it asks for the page again and takes over what changed, so that focus, scroll
 * position and open parts stay. It pauses while nobody sees the page, and shows when the service is gone.
 * Without it the page is whole, but stands still.
 */
export const SCRIPT = `
'use strict'
const byId = (id) => document.getElementById(id)
const ANSWER_MS = 6000
let etag = ''
let timer
let lostSince

async function refresh() {
  clearTimeout(timer)
  try {
    const signal = AbortSignal.timeout(ANSWER_MS)
    const response = await fetch(location.pathname, { cache: 'no-store', headers: { 'if-none-match': etag }, signal })
    if (response.status === 200) show(new DOMParser().parseFromString(await response.text(), 'text/html'))
    else if (response.status !== 304) throw new Error('HTTP ' + response.status)
    etag = response.headers.get('etag') ?? ''
    showAnswered()
  } catch {
    showLost()
  }
  if (!document.hidden) timer = setTimeout(refresh, lostSince ? 1500 : Number(byId('main').dataset.refreshMs))
}

function show(next) {
  if (!next.getElementById('main')) throw new Error('not this page')
  if (next.documentElement.dataset.build !== document.documentElement.dataset.build) return location.reload()
  document.title = next.title
  byId('icon').href = next.getElementById('icon').href
  update(byId('main'), next.getElementById('main'))
}

/** Makes a node like another one, and touches only what differs. */
function update(node, next) {
  if (node.isEqualNode(next)) return
  if (node.nodeName !== next.nodeName || node.id !== next.id) {
    node.replaceWith(document.importNode(next, true))
    return
  }
  if (node.nodeType !== Node.ELEMENT_NODE) {
    node.nodeValue = next.nodeValue
    return
  }
  for (const { name, value } of next.attributes) if (node.getAttribute(name) !== value) node.setAttribute(name, value)
  for (const { name } of [...node.attributes]) {
    // Which parts are open is up to the reader.
    if (name !== 'open' && !next.hasAttribute(name)) node.removeAttribute(name)
  }
  const children = [...node.childNodes]
  next.childNodes.forEach((child, index) => {
    if (children[index]) update(children[index], child)
    else node.append(document.importNode(child, true))
  })
  for (const child of children.slice(next.childNodes.length)) child.remove()
}

function showAnswered() {
  const now = new Date().toISOString()
  byId('as-of').dateTime = now
  byId('as-of').textContent = now.slice(0, 19).replace('T', ' ') + ' UTC'
  if (!lostSince) return
  lostSince = undefined
  byId('lost').textContent = ''
  document.body.classList.remove('is-lost')
}

function showLost() {
  if (lostSince) return
  lostSince = new Date()
  document.body.classList.add('is-lost')
  document.title = 'No answer · ' + document.title
  byId('lost').textContent =
    'The service has not answered since ' + lostSince.toISOString().slice(11, 19) +
    ' UTC. What you see is what was last known; trying again.'
  etag = ''
}

document.addEventListener('visibilitychange', () => {
  if (document.hidden) clearTimeout(timer)
  else refresh()
})
byId('updates').textContent = 'This page updates itself.'
timer = setTimeout(refresh, Number(byId('main').dataset.refreshMs))
`
