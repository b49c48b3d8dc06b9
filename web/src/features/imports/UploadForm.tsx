import { Button, FileInput, Progress, Select, Stack, Text } from '@mantine/core'
import { IconFileTypeCsv } from '@tabler/icons-react'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState, type FormEvent } from 'react'

import { useForbidden } from '../../api/session'
import type { Mapping } from '../../api/types'
import { bytes, share } from '../../lib/format'
import { notifyDone } from '../../ui/notify'
import { ProblemAlert } from '../../ui/ProblemAlert'
import { upload } from './queries'

/** A file, a saved mapping, and how far it has come. */
export function UploadForm({ mappings }: { mappings: Mapping[] }) {
  const forbidden = useForbidden('ingest_write')
  const client = useQueryClient()
  const [file, setFile] = useState<File | null>(null)
  const [mapping, setMapping] = useState<string | null>(mappings.length === 1 ? (mappings[0]?.id ?? null) : null)
  const [sent, setSent] = useState(0)
  const send = useMutation({
    mutationFn: async () => {
      if (!file || !mapping) throw new Error('choose a file and a mapping')
      setSent(0)
      return upload(file, mapping, setSent)
    },
    onSuccess: async (batch) => {
      notifyDone('The file arrived', `${batch.source} is being read; the counts below grow as it goes.`)
      setFile(null)
      await client.invalidateQueries({ queryKey: ['imports'] })
    },
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    send.mutate()
  }
  const why = forbidden ?? (mappings.length === 0 ? 'Add a mapping first.' : !file ? 'Choose a file first.' : !mapping ? 'Choose the mapping that fits the file.' : null)
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <FileInput label="CSV file" placeholder="Choose a file" accept=".csv,text/csv,text/plain" clearable leftSection={<IconFileTypeCsv size={16} aria-hidden />} value={file} onChange={setFile} description={file ? bytes(file.size) : undefined} />
        <Select label="Mapping" allowDeselect={false} placeholder={mappings.length === 0 ? 'none is saved yet' : 'Choose a mapping'} value={mapping} onChange={setMapping} data={mappings.map(({ id, name }) => ({ value: id, label: name }))} />
        {send.isPending && (
          <div>
            <Progress value={sent * 100} aria-label="Sent" />
            <Text size="xs" c="dimmed">
              {share(sent)} sent
            </Text>
          </div>
        )}
        {send.isError && <ProblemAlert error={send.error} />}
        {why && (
          <Text size="xs" c="dimmed">
            {why}
          </Text>
        )}
        <Button type="submit" size="sm" disabled={why !== null} loading={send.isPending}>
          Import
        </Button>
      </Stack>
    </form>
  )
}
