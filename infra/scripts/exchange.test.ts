import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { powershell } from './support/powershell.ts';
import { startPowerShell } from './support/powershell-session.ts';

const folder = fileURLToPath(new URL('.', import.meta.url));
const pwsh = powershell();
const session = pwsh === undefined ? undefined : startPowerShell(pwsh);
afterAll(() => session?.stop());

const appId = '11111111-1111-4111-8111-111111111111';
const objectId = '22222222-2222-4222-8222-222222222222';
const ids = `-Name corpus -AppId ${appId} -ObjectId ${objectId}`;

let directory = '';
const stateFile = () => join(directory, 'exchange.json');

async function set(change: object): Promise<void> {
  const client = { ImapEnabled: true, PopEnabled: false, SmtpClientAuthenticationDisabled: null };
  const empty = { principals: [], scopes: [], assignments: [], permissions: [], client, changes: [] };
  await writeFile(stateFile(), JSON.stringify({ ...empty, ...change }));
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mailroom-exchange-'));
  await set({});
});
afterEach(() => rm(directory, { recursive: true, force: true }));

/** Runs a script against the stand-in for Exchange Online; answers what it changed. */
async function run(script: string, args: string, connected = true) {
  const before = JSON.parse(await readFile(stateFile(), 'utf8')).changes.length;
  const load = connected ? `Import-Module '${join(folder, 'support/exchange-stub.psm1')}';` : '';
  if (!session) throw new Error('There is no PowerShell');
  const result = await session.run(
    `$ErrorActionPreference = 'Stop'; $env:EXCHANGE_STATE = '${stateFile()}'; ${load} & '${join(folder, script)}' ${args}`,
  );
  const state = JSON.parse(await readFile(stateFile(), 'utf8'));
  return { ...result, state, changes: state.changes.slice(before) };
}

describe.skipIf(!pwsh)('scope-mailboxes.ps1', { timeout: 90_000 }, () => {
  const scope = (more = '-Mailbox corpus@example.com -OtherMailbox boss@example.com') =>
    run('scope-mailboxes.ps1', `${ids} ${more}`);

  it('makes principal, scope and roles, tests them, and changes nothing the second time', async () => {
    const first = await scope();
    expect(first).toMatchObject({ code: 0 });
    expect(first.changes).toEqual([
      `New-ServicePrincipal ${objectId}`,
      'New-ManagementScope mailroom-corpus',
      'New-ManagementRoleAssignment Application Mail.ReadWrite mailroom-corpus',
      'New-ManagementRoleAssignment Application Mail.Send mailroom-corpus',
    ]);
    expect(first.state.scopes[0].RecipientFilter).toBe("((PrimarySmtpAddress -eq 'corpus@example.com'))");
    expect(await scope()).toMatchObject({ code: 0, changes: [] });
  });

  it('changes nothing with -WhatIf, and says what it would do', async () => {
    const dry = await scope('-Mailbox corpus@example.com -WhatIf');
    expect(dry).toMatchObject({ code: 0, changes: [] });
    expect(dry.output.match(/What if/g)).toHaveLength(4);
  });

  it('widens the scope when mailboxes are added', async () => {
    await scope();
    const { changes, code } = await scope('-Mailbox corpus@example.com, second@example.com');
    expect({ changes, code }).toEqual({ changes: ['Set-ManagementScope mailroom-corpus'], code: 0 });
  });

  it('takes a group', async () => {
    const { state, code } = await scope("-Group 'Mailroom boxes'");
    expect(code).toBe(0);
    expect(state.scopes[0].RecipientFilter).toContain("MemberOfGroup -eq 'CN=Mailroom boxes,OU=example'");
  });

  it('fails where another assignment reaches a mailbox that must be out of reach', async () => {
    await set({
      assignments: [{ Name: 'wide', Role: 'Application Mail.Send', App: objectId, CustomResourceScope: '' }],
    });
    const { code, output } = await scope();
    expect(code).toBe(1);
    expect(output).toMatch(/reaches boss@example\.com by scope Organization/);
  });

  it('finds that Exchange was given the wrong object id', async () => {
    await set({ principals: [{ AppId: appId, ObjectId: '33333333-3333-4333-8333-333333333333' }] });
    const { code, output, changes } = await scope();
    expect({ code, changes }).toEqual({ code: 1, changes: [] });
    expect(output.replace(/\s*\|?\s+/g, ' ')).toContain('not of the app registration');
  });

  it('says that Exchange Online is not connected', async () => {
    const { code, output } = await run('scope-mailboxes.ps1', `${ids} -Mailbox corpus@example.com`, false);
    expect(code).toBe(1);
    expect(output).toContain('Connect-ExchangeOnline');
  });

  it.each(["x' -or Name -like '*'", 'nobody'])('refuses the address %s', async (address) => {
    const { code, changes } = await scope(`-Mailbox "${address}"`);
    expect({ code, changes }).toEqual({ code: 1, changes: [] });
  });
});

describe.skipIf(!pwsh)('imap-oauth.ps1', { timeout: 90_000 }, () => {
  const allow = (more = '') => run('imap-oauth.ps1', `${ids} -Mailbox corpus@example.com ${more}`);

  it('makes the principal, gives FullAccess, and changes nothing the second time', async () => {
    const first = await allow();
    expect(first).toMatchObject({ code: 0 });
    expect(first.changes).toEqual([
      `New-ServicePrincipal ${objectId}`,
      'Add-MailboxPermission corpus@example.com FullAccess',
    ]);
    expect(await allow()).toMatchObject({ code: 0, changes: [] });
  });

  it('changes nothing with -WhatIf', async () => {
    const dry = await allow('-Protocol IMAP, POP, SMTP -EnableProtocol -WhatIf');
    expect(dry).toMatchObject({ code: 0, changes: [] });
    expect(dry.output.match(/What if/g)).toHaveLength(3);
  });

  it('lists protocols that are off, and switches them on only when asked', async () => {
    const reported = await allow('-Protocol IMAP, POP, SMTP');
    expect(reported.output).toMatch(/POP is switched off/);
    expect(reported.output).toMatch(/SMTP is switched off/);
    expect(reported.output).not.toMatch(/IMAP is switched off/);
    const done = await allow('-Protocol IMAP, POP, SMTP -EnableProtocol');
    expect(done.changes).toEqual(['Set-CASMailbox corpus@example.com PopEnabled SmtpClientAuthenticationDisabled']);
    expect(done.state.client).toEqual({ ImapEnabled: true, PopEnabled: true, SmtpClientAuthenticationDisabled: false });
    expect((await allow('-Protocol IMAP, POP, SMTP -EnableProtocol')).changes).toEqual([]);
  });
});
