/** Standing rules as sentences. */
import type { Rule } from '../api/types'
import { money } from './format'

interface Names {
  brand: (id: string) => string
  channel: (id: string) => string
}

export function ruleSentence(rule: Rule, names: Names, currency: string): string {
  const where = (brand: string | null | undefined, channel: string | null | undefined) => {
    const who = brand ? names.brand(brand) : 'all brands together'
    return channel ? `${who} in ${names.channel(channel)}` : `${who} over all channels`
  }
  switch (rule.rule) {
    case 'cap':
      return `Weekly media of ${where(rule.brand, rule.channel)} is at most ${money(rule.weekly, currency)}.`
    case 'minimum':
      return `Weekly media of ${where(rule.brand, rule.channel)} is at least ${money(rule.weekly, currency)}.`
    case 'exclusion':
      return `${names.brand(rule.brand)} in ${names.channel(rule.channel)} stays as it is.`
    case 'cannibalisation_cap':
      return `Weekly media of ${names.brand(rule.driver)} is at most ${money(rule.weekly, currency)}, because it takes sales from ${names.brand(rule.affected)}.`
    case 'joint_action':
      return `Weekly media of ${names.brand(rule.driver)} is at least ${money(rule.weekly, currency)}, because it lifts ${names.brand(rule.affected)}.`
    default:
      return 'A rule this version of the app does not know.'
  }
}
