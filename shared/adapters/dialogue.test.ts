import { expect, it } from 'vitest';
import { inLogScope, type LogSink } from '../platform/log.ts';
import { dialogueLog } from './dialogue.ts';

function linesOf(write: (dialogue: ReturnType<typeof dialogueLog>) => void): unknown[] {
  const lines: unknown[] = [];
  const sink: LogSink = (_, line) => lines.push(JSON.parse(line));
  inLogScope({ sink }, () =>
    write(dialogueLog({ account: 'corpus', protocol: 'imap' }, (text) => text.replaceAll('geheim', '***'))),
  );
  return lines;
}

const said = (line: string) =>
  linesOf((dialogue) => dialogue.server(line)).map((each) => (each as { line: string }).line)[0];

it('says who said what, on which account', () => {
  const lines = linesOf((dialogue) => {
    dialogue.client('A1 SELECT INBOX');
    dialogue.server('A1 OK [READ-WRITE] done');
  });
  expect(lines).toEqual([
    { event: 'debug.dialogue', account: 'corpus', protocol: 'imap', by: 'client', line: 'A1 SELECT INBOX' },
    { event: 'debug.dialogue', account: 'corpus', protocol: 'imap', by: 'server', line: 'A1 OK [READ-WRITE] done' },
  ]);
});

it.each([
  ['535 5.7.8 geheim is wrong', '535 5.7.8 *** is wrong'],
  ['Authorization: Bearer abc.def', 'Authorization: Bearer (token)'],
  [`AUTH XOAUTH2 ${'QUJD'.repeat(20)}`, 'AUTH XOAUTH2 (…)'],
  ['eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2ln', '(token)'],
  [
    '* 1 FETCH (UID 1 BODY[HEADER] "Subject: our plan \\"B\\"" FLAGS ())',
    '* 1 FETCH (UID 1 BODY[HEADER] "…" FLAGS ())',
  ],
  ['* 1 FETCH (UID 1 BODY[HEADER] "cut off', '* 1 FETCH (UID 1 BODY[HEADER] "…"'],
  ['* LIST () "/" "Gelöschte Elemente"', '* LIST () "/" "Gelöschte Elemente"'],
  ['two\r\nlines\u0000', 'two lines'],
])('shows %s as %s', (line, shown) => {
  expect(said(line)).toBe(shown);
});

it('bounds a line', () => {
  expect(said('x y '.repeat(5_000))).toHaveLength(501);
});

it('writes to the log of whoever uses the connection now', () => {
  const first: string[] = [];
  const second: string[] = [];
  const dialogue = inLogScope({ sink: (_, line) => first.push(line) }, () =>
    dialogueLog({ account: 'corpus', protocol: 'smtp' }),
  );
  dialogue.client('one');
  inLogScope({ sink: (_, line) => second.push(line) }, () => dialogue.attach());
  dialogue.client('two');
  expect([first.length, second.length]).toEqual([1, 1]);
});

it.each([
  ['lines', (n: number) => `* ${n} EXISTS`, 5_000],
  ['characters', () => 'x y '.repeat(200), 1_000_000 / 500],
])('is bounded in %s a connection, and says so once', (_, line, most) => {
  const lines = linesOf((dialogue) => {
    for (let n = 0; n < 20_000; n += 1) dialogue.server(line(n));
  }) as readonly { readonly event: string }[];
  const events = lines.map(({ event }) => event);
  expect(events.filter((event) => event === 'debug.dialogue').length).toBeLessThanOrEqual(most);
  expect(events.filter((event) => event === 'debug.dialogueCut')).toHaveLength(1);
  expect(events.at(-1)).toBe('debug.dialogueCut');
});
