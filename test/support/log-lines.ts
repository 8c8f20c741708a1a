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

/** Events and their fields as docs/queries.md says them, in the order of its two tables. */
export interface DocumentedEvents {
  /** With every field that a line may have. */
  readonly main: ReadonlyMap<string, readonly string[]>;
  /** Lines of these may also have what the work was about. */
  readonly rarer: ReadonlyMap<string, readonly string[]>;
  /** Fields that a line of an event may have; undefined: the event is in neither table. */
  fields(event: string): readonly string[] | undefined;
}

export function documentedEvents(): DocumentedEvents {
  const text = readFileSync(new URL('../../docs/queries.md', import.meta.url), 'utf8');
  const main = tableOf(text, 'event');
  const rarer = tableOf(text, 'rarer event');
  const about = ['account', 'message', 'run'];
  return {
    main,
    rarer,
    fields(event) {
      const more = rarer.get(event);
      return main.get(event) ?? (more && [...new Set([...about, ...more])]);
    },
  };
}

/** The rows below the headings `first | when | fields`. */
function tableOf(text: string, first: string): Map<string, readonly string[]> {
  const [, table] = text.split(`\n| ${first} | when | fields |\n`);
  if (table === undefined) throw new Error(`docs/queries.md has no table of "${first}"`);
  const rows = (table.split('\n\n')[0] ?? '').split('\n').slice(1);
  return new Map(
    rows.map((row) => {
      const [, event, fields] = /^\| `([a-z]+\.[a-zA-Z]+)` \| [^|]+ \|([^|]*)\|$/.exec(row) ?? [];
      if (event === undefined || fields === undefined) throw new Error(`docs/queries.md: not a row of events: ${row}`);
      const names = fields.split(',').map((field) => field.trim());
      return [event, names.filter((name) => name !== '')];
    }),
  );
}
