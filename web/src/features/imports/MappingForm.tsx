import { Button, Stack, Text, Textarea } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState, type FormEvent } from 'react'

import { api, idempotencyKey, unwrap } from '../../api/client'
import { useForbidden } from '../../api/session'
import { notifyDone } from '../../ui/notify'
import { ProblemAlert } from '../../ui/ProblemAlert'

const EXAMPLE = `name = "weekly_sales"
granularity = "week"

[date]
column = "week"
format = { kind = "iso" }
…`

/** Saves a mapping file. Its format is documented with the importer. */
export function MappingForm() {
  const forbidden = useForbidden('mapping_write')
  const client = useQueryClient()
  const [text, setText] = useState('')
  const save = useMutation({
    mutationFn: async () => unwrap(api.POST('/mappings', { params: { header: { 'Idempotency-Key': idempotencyKey() } }, body: { text } })),
    onSuccess: async (saved) => {
      notifyDone('Mapping saved', `${saved.name}, version ${saved.version}`)
      setText('')
      await client.invalidateQueries({ queryKey: ['mappings'] })
    },
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    save.mutate()
  }
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <Textarea label="Mapping (TOML)" description="It names itself; an existing name gets its next version." placeholder={EXAMPLE} required rows={8} resize="vertical" spellCheck={false} classNames={{ input: 'mono' }} value={text} onChange={(event) => setText(event.currentTarget.value)} />
        {save.isError && <ProblemAlert error={save.error} />}
        {forbidden && (
          <Text size="xs" c="dimmed">
            {forbidden}
          </Text>
        )}
        <Button type="submit" variant="default" size="sm" disabled={!text.trim() || forbidden !== null} loading={save.isPending}>
          Save the mapping
        </Button>
      </Stack>
    </form>
  )
}
