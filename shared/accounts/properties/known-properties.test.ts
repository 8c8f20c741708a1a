import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { knownNames, knownProperties } from './known-properties.ts';

const page =
  readFileSync(new URL('../../../docs/properties.md', import.meta.url), 'utf8').split('\n## Properties\n')[1] ?? '';

/** Cells of every row of the page's table, without its head. */
const rows = page
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => line.split(' | ').map((cell) => cell.replace(/^\|\s*|\s*\|$/g, '').trim()));

describe('docs/properties.md', () => {
  it('has the table of the code, row by row', () => {
    expect(rows).toEqual(
      knownProperties.map(({ name, protocols, becomes, notes }) => [
        `\`${name}\``,
        protocols.length === 6 ? 'all' : protocols.join(', '),
        becomes,
        notes,
      ]),
    );
  });
});

describe('knownProperties', () => {
  it('has each name once', () => {
    expect(new Set(knownNames).size).toBe(knownNames.length);
  });

  it.each([
    ...['mail.store.protocol', 'mail.transport.protocol', 'mail.from', 'mail.debug', 'mail.server'],
    ...['client.id', 'client.secret', 'tenant.id', 'user.id', 'deletedelta_day', 'mail.import.deletedelta_day'],
    ...['smtp', 'smtps', 'imap', 'imaps', 'pop3', 'pop3s'].flatMap((protocol) =>
      [
        ...['host', 'port', 'user', 'password', 'ssl.trust', 'auth', 'connectiontimeout', 'timeout', 'writetimeout'],
        ...['starttls.enable', 'starttls.required', 'ssl.enable', 'ssl.checkserveridentity', 'ssl.protocols'],
        'auth.mechanisms',
      ].map((suffix) => `mail.${protocol}.${suffix}`),
    ),
    ...['smtp', 'smtps'].flatMap((protocol) =>
      ['localhost', 'from', 'dsn.notify', 'dsn.ret'].map((suffix) => `mail.${protocol}.${suffix}`),
    ),
  ])('has %s', (name) => {
    expect(knownNames).toContain(name);
  });
});
