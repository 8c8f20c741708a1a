import { readFileSync } from 'node:fs';
import { z } from 'zod';

const lineSchema = z.looseObject({ event: z.string() });
export type LogLine = z.output<typeof lineSchema>;

/** Mailroom's own lines in the log of a process: JSON objects behind the host's time. */
export function logLines(log: string): LogLine[] {
  return log.split('\n').flatMap((line) => {
    const json = /^\[[^\]]+\] (\{"event":.*\})$/.exec(line)?.[1] ?? (line.startsWith('{"event":') ? line : undefined);
    return json === undefined ? [] : [lineSchema.parse(JSON.parse(json))];
  });
}

/** Events and their fields as docs/queries.md tells them. */
export function documentedEvents(): Map<string, readonly string[]> {
  const text = readFileSync(new URL('../../docs/queries.md', import.meta.url), 'utf8');
  const rows = [...text.matchAll(/^\| `([a-zA-Z.]+)` \| [^|]+ \| ([^|]+) \|$/gm)];
  return new Map(rows.map(([, event = '', fields = '']) => [event, fields.split(',').map((field) => field.trim())]));
}
