/** Colours, type and spacing of the product. */
import { createTheme, type CSSVariablesResolver, type MantineColorsTuple } from '@mantine/core'

const cadence: MantineColorsTuple = [
  '#e8f5f7', '#d2e9ee', '#a4d3dc', '#73bbc9', '#4ba8b9', '#3198ab', '#1f8497', '#0f6b7c', '#0b5866', '#064450',
]

/** Surfaces and lines of the dark scheme: the library's greys with the hue of the page. */
const dark: MantineColorsTuple = [
  '#c9d2d8', '#b3bec6', '#87949d', '#66737c', '#414c54', '#37424a', '#2a333a', '#222a30', '#1b2126', '#14191d',
]

export const theme = createTheme({
  primaryColor: 'cadence',
  primaryShade: { light: 7, dark: 7 },
  autoContrast: true,
  colors: { cadence, dark },
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", Arial, sans-serif',
  fontFamilyMonospace: 'ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace',
  fontSizes: { xs: '0.75rem', sm: '0.8125rem', md: '0.875rem', lg: '1rem', xl: '1.125rem' },
  headings: {
    fontWeight: '600',
    sizes: { h1: { fontSize: '1.375rem' }, h2: { fontSize: '1rem' }, h3: { fontSize: '0.875rem' } },
  },
  defaultRadius: 'md',
  radius: { md: '0.5rem' },
  cursorType: 'pointer',
  respectReducedMotion: true,
  components: {
    Modal: { defaultProps: { closeButtonProps: { 'aria-label': 'Close' } } },
    Drawer: { defaultProps: { closeButtonProps: { 'aria-label': 'Close' } } },
    Notification: { defaultProps: { closeButtonProps: { 'aria-label': 'Close' } } },
    Button: { defaultProps: { size: 'xs' } },
    TextInput: { defaultProps: { size: 'sm' } },
    Select: { defaultProps: { size: 'sm' } },
    Table: { defaultProps: { verticalSpacing: 6, horizontalSpacing: 'sm' } },
    Tooltip: { defaultProps: { withArrow: true, openDelay: 250, multiline: true, maw: 320 } },
    Paper: { defaultProps: { withBorder: true, radius: 'md' } },
  },
})

/** Text colours are darker than the library's, so that small print keeps a contrast of 4.5 to 1. */
export const cssVariables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    '--page': '#f5f7f8',
    '--hairline': '#e3e7ea',
    '--mantine-color-default-border': '#dfe4e8',
    '--mantine-color-dimmed': '#56616b',
    '--mantine-color-placeholder': '#66717b',
    '--mantine-color-text': '#1c252c',
    '--accent': '#0f6b7c',
    '--good': '#0b6e4f',
    '--bad': '#b02a1e',
    '--mantine-color-error': '#b02a1e',
    '--mantine-color-anchor': '#0b5866',
  },
  dark: {
    '--page': '#14191d',
    '--hairline': '#2c343a',
    '--mantine-color-body': '#1b2126',
    '--mantine-color-default': '#222a30',
    '--mantine-color-default-hover': '#2a333a',
    '--mantine-color-default-border': '#37424a',
    '--mantine-color-dimmed': '#a3afb8',
    '--mantine-color-placeholder': '#93a0aa',
    '--mantine-color-text': '#dfe6ea',
    '--accent': '#4ba8b9',
    '--good': '#5fd0a2',
    '--bad': '#ff8f80',
    '--mantine-color-error': '#ff8f80',
    '--mantine-color-anchor': '#73bbc9',
  },
})
