import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

// The app is served by the binary under a strict content security policy: nothing is inlined.
export default defineConfig({
  plugins: [react()],
  build: { assetsInlineLimit: 0, chunkSizeWarningLimit: 800, target: 'es2022' },
  server: { proxy: { '/api': 'http://127.0.0.1:8080', '/problems': 'http://127.0.0.1:8080' } },
  test: { environment: 'happy-dom', include: ['src/**/*.test.{ts,tsx}'], setupFiles: ['src/test-setup.ts'] },
})
