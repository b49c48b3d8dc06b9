import { NumberInput, Slider, Switch, Text, UnstyledButton } from '@mantine/core'

import type { Catalogue } from '../../api/catalogue'
import { MISSING, money, number, share } from '../../lib/format'
import { isChanged, lineKey, outsideBounds, total, type EditLine } from '../../lib/plan-lines'

interface Props {
  lines: EditLine[]
  names: Catalogue
  currency: string
  marginals: Map<string, number | null | undefined>
  chosen: string
  /** Lines whose amount a person set. */
  setByHand: ReadonlySet<string>
  onChoose: (key: string) => void
  onAmount: (key: string, weekly: number) => void
  onLock: (key: string, locked: boolean) => void
}

/** A slider and a number for every brand and channel. */
export function WhatIfLines({ lines, names, currency, marginals, chosen, setByHand, onChoose, onAmount, onLock }: Props) {
  const brands = [...new Set(lines.map((line) => line.brand))].toSorted((a, b) => names.brand(a).localeCompare(names.brand(b)))
  return (
    <div className="lines">
      <div className="line line-titles" aria-hidden>
        <span>Channel</span>
        <span className="line-slider" />
        <span>{currency} a week</span>
        <span className="line-marginal">Marginal return</span>
        <span>Lock</span>
      </div>
      {brands.map((brand) => {
        const own = lines.filter((line) => line.brand === brand)
        return (
          <section key={brand} aria-label={names.brand(brand)}>
            <div className="lines-head">
              <Text fw={600} size="sm">
                {names.brand(brand)}
              </Text>
              <Text size="xs" c="dimmed" className="figure">
                {money(total(own), currency)} a week
                {total(own) !== total(own, 'current') && ` (${money(total(own) - total(own, 'current'), currency, { signed: true })})`}
              </Text>
            </div>
            {own.map((line) => (
              <Line
                key={lineKey(line)}
                line={line}
                name={`${names.brand(line.brand)}, ${names.channel(line.channel)}`}
                channel={names.channel(line.channel)}
                currency={currency}
                marginal={marginals.get(lineKey(line))}
                chosen={lineKey(line) === chosen}
                byHand={setByHand.has(lineKey(line))}
                onChoose={() => onChoose(lineKey(line))}
                onAmount={(weekly) => onAmount(lineKey(line), weekly)}
                onLock={(locked) => onLock(lineKey(line), locked)}
              />
            ))}
          </section>
        )
      })}
    </div>
  )
}

interface LineProps {
  line: EditLine
  name: string
  channel: string
  currency: string
  marginal: number | null | undefined
  chosen: boolean
  byHand: boolean
  onChoose: () => void
  onAmount: (weekly: number) => void
  onLock: (locked: boolean) => void
}

function Line({ line, name, channel, currency, marginal, chosen, byHand, onChoose, onAmount, onLock }: LineProps) {
  const most = Math.max(line.upper, line.current * 2, line.weekly, 1)
  const outside = outsideBounds(line)
  return (
    <div className="line" data-chosen={chosen} data-line={lineKey(line)}>
      <UnstyledButton className="line-name" aria-pressed={chosen} title={`Show the response curve of ${name}`} onClick={onChoose}>
        {channel}
        <Text size="xs" c="dimmed" className="figure">
          {isChanged(line) ? `was ${money(line.current, currency)} (${line.current > 0 ? share(line.weekly / line.current - 1, 0, { signed: true }) : 'new'})` : 'unchanged'}
          {byHand && ', set by you'}
        </Text>
      </UnstyledButton>
      <Slider
        className="line-slider"
        min={0}
        max={most}
        step={Math.max(1, Math.round(most / 200))}
        value={line.weekly}
        onChange={onAmount}
        label={(value) => money(value, currency)}
        disabled={line.locked}
        size="sm"
        thumbLabel={`Weekly spend of ${name}`}
        marks={[{ value: line.current }]}
      />
      <NumberInput
        className="line-amount"
        size="xs"
        hideControls
        aria-label={`Weekly spend of ${name}`}
        min={0}
        decimalScale={2}
        fixedDecimalScale
        thousandSeparator=","
        value={line.weekly}
        disabled={line.locked}
        error={outside}
        onFocus={onChoose}
        onChange={(value) => {
          const amount = Number(value) || 0
          if (amount !== line.weekly) onAmount(amount)
        }}
      />
      <Text size="xs" className="line-marginal figure" title="Margin per extra unit of spend under this plan; 1 breaks even">
        {marginal === null || marginal === undefined ? MISSING : `${number(marginal, 2)}×`}
        {outside && <span className="bad"> outside {money(line.lower, currency, { compact: true })} to {money(line.upper, currency, { compact: true })}</span>}
      </Text>
      <Switch size="xs" checked={line.locked} aria-label={`Lock ${name}`} onLabel="🔒" offLabel="" onChange={(event) => onLock(event.currentTarget.checked)} />
    </div>
  )
}
