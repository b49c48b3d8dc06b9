/** Colours of the canvas, which cannot read CSS variables. One set for each colour scheme. */
import { useComputedColorScheme } from '@mantine/core'

export interface Palette {
  text: string
  muted: string
  line: string
  axis: string
  grid: string
  surface: string
  history: string
  forecast: string
  band80: string
  band95: string
  action: string
  outlier: string
  good: string
  bad: string
  neutral: string
  lifts: string
  takes: string
  planned: string
}

const light: Palette = {
  text: '#1c252c',
  muted: '#56616b',
  line: '#0f6b7c',
  axis: '#b9c2c9',
  grid: '#e9edf0',
  surface: '#ffffff',
  history: '#0f6b7c',
  forecast: '#3b5bdb',
  band80: 'rgba(59,91,219,0.22)',
  band95: 'rgba(59,91,219,0.10)',
  action: '#b35c00',
  outlier: '#c2255c',
  good: '#17835f',
  bad: '#c23b2e',
  neutral: '#eef1f3',
  lifts: '#7fcdaf',
  takes: '#f0a199',
  planned: '#b35c00',
}

const dark: Palette = {
  text: '#dfe6ea',
  muted: '#a3afb8',
  line: '#4ba8b9',
  axis: '#4a5660',
  grid: '#29323a',
  surface: '#1b2126',
  history: '#4ba8b9',
  forecast: '#8ea2ff',
  band80: 'rgba(142,162,255,0.26)',
  band95: 'rgba(142,162,255,0.12)',
  action: '#ffb454',
  outlier: '#ff7aa8',
  good: '#4cc79a',
  bad: '#ff8270',
  neutral: '#2a333a',
  lifts: '#1c6b50',
  takes: '#8a3329',
  planned: '#ffb454',
}

export function usePalette(): Palette {
  return useComputedColorScheme('light') === 'dark' ? dark : light
}
