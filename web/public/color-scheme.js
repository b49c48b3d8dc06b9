// Sets the colour scheme before the first paint. A file of its own because inline scripts are not allowed.
try {
  var stored = localStorage.getItem('mantine-color-scheme-value')
  var dark = stored === 'dark' || ((!stored || stored === 'auto') && matchMedia('(prefers-color-scheme: dark)').matches)
  document.documentElement.setAttribute('data-mantine-color-scheme', dark ? 'dark' : 'light')
} catch {
  document.documentElement.setAttribute('data-mantine-color-scheme', 'light')
}
