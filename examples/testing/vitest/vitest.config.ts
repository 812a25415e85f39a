import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: { globalSetup: 'commandbus-db/testing/global-setup' },
})
