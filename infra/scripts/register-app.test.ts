import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { exchangeApi, graphApi, type ScriptRun, Tenant } from './support/tenant.ts';

let tenant: Tenant;
beforeEach(async () => {
  tenant = await Tenant.start();
});
afterEach(() => tenant.stop());

const register = (...more: readonly string[]) =>
  tenant.run('register-app.sh', '--account', 'corpus', '--vault', 'kv-mail', ...more);

const written = ({ calls }: ScriptRun) => calls.filter(({ writes }) => writes).map(({ args }) => args.join(' '));

/** Names of the permissions that were granted, by the API that has them. */
function granted(): readonly string[] {
  return tenant.az.assignments.map(({ resourceId, appRoleId }) => {
    const api = [graphApi, exchangeApi].find(({ id }) => id === resourceId);
    return api?.appRoles.find(({ id }) => id === appRoleId)?.value ?? 'unknown';
  });
}

/** What the stub ever gave out as a secret, and the value that lies in the vault. */
function expectNoSecretIn(run: ScriptRun): void {
  expect(run.output).not.toContain('stub~secret');
  expect(JSON.stringify(run.calls)).not.toContain('stub~secret');
}

describe('register-app.sh with a client secret', () => {
  it('makes the application, its principal, the grants and the secret, and shows none of it but ids', async () => {
    const run = await register();
    expect(run).toMatchObject({ code: 0 });
    expectNoSecretIn(run);
    const state = tenant.az;
    const [app] = state.apps;
    expect(app).toMatchObject({ displayName: 'Mailroom corpus', passwords: [{ endDateTime: '2027-11-26T00:00:00Z' }] });
    expect(granted()).toEqual(['Mail.ReadWrite', 'Mail.Send']);
    const keyId = app?.passwords[0]?.keyId;
    expect(state.secrets).toEqual({
      'corpus-client-secret': {
        value: `stub~secret~of~${keyId}`,
        tags: { clientId: app?.appId, keyId },
        expires: '2027-11-26T00:00:00Z',
      },
    });
    const principal = state.principals.find(({ appId }) => appId === app?.appId);
    expect(run.output).toContain(`"clientId": "${app?.appId}", "secret": "corpus-client-secret"`);
    expect(run.output).toContain(principal?.id);
  });

  it('changes nothing the second time', async () => {
    await register();
    const run = await register();
    expect(run).toMatchObject({ code: 0 });
    expect(written(run)).toEqual([]);
    expect(run.output).not.toContain('changing');
  });

  it('writes nothing in a dry run, neither on a fresh tenant nor on one that has all', async () => {
    const fresh = await register('--dry-run');
    expect(fresh).toMatchObject({ code: 0 });
    expect(written(fresh)).toEqual([]);
    expect(fresh.output.match(/^would .*$/gm)).toHaveLength(5);
    await register();
    const rotation = await register('--dry-run', '--rotate');
    expect(written(rotation)).toEqual([]);
    expect(rotation.output.match(/^would .*$/gm)).toHaveLength(1);
  });

  it('rotates: the old credential goes on, and how to end it is reported', async () => {
    await register();
    const old = tenant.az.apps[0]?.passwords[0]?.keyId;
    const run = await register('--rotate');
    expectNoSecretIn(run);
    const { apps, secrets } = tenant.az;
    expect(apps[0]?.passwords.map(({ keyId }) => keyId)).toEqual([old, secrets['corpus-client-secret']?.tags.keyId]);
    expect(run.output).toContain(`credential delete --id ${apps[0]?.appId} --key-id ${old}`);
  });

  it('replaces a secret whose credential the application no longer has', async () => {
    await register();
    for (const app of tenant.az.apps) app.passwords = [];
    expect(await register()).toMatchObject({ code: 0 });
    const after = tenant.az;
    expect(after.secrets['corpus-client-secret']?.tags.keyId).toBe(after.apps[0]?.passwords[0]?.keyId);
  });

  it('does not replace a secret that somebody else put there, by default', async () => {
    tenant.az.secrets['corpus-client-secret'] = { value: 'by hand', tags: {}, expires: '' };
    const run = await register();
    expect(run.code).toBe(1);
    expect(run.output).toContain('--rotate replaces it');
    expect(tenant.az.secrets['corpus-client-secret']?.value).toBe('by hand');
    expect(await register('--rotate')).toMatchObject({ code: 0 });
  });

  it('takes a credential back that the vault does not keep', async () => {
    tenant.az.refuseSecrets = true;
    const run = await register();
    expect(run.code).toBe(1);
    expectNoSecretIn(run);
    expect(tenant.az.apps[0]?.passwords).toEqual([]);
  });

  it('waits for what Entra ID does not know everywhere yet', async () => {
    tenant.az.lag = 3;
    expect(await register()).toMatchObject({ code: 0 });
  });
});

describe('register-app.sh with a certificate', () => {
  it('lets Key Vault make it, never to be renewed unasked, and registers it once', async () => {
    const run = await register('--credential', 'certificate', '--years', '2');
    expect(run).toMatchObject({ code: 0 });
    const { apps, certificates, secrets } = tenant.az;
    const certificate = certificates['corpus-client-certificate'];
    expect(certificate?.policy).toMatchObject({
      keyProperties: { exportable: true },
      lifetimeActions: [{ action: { actionType: 'EmailContacts' } }],
      x509CertificateProperties: { subject: 'CN=mailroom-corpus', validityInMonths: 24 },
    });
    expect(apps[0]?.keys.map(({ displayName }) => displayName)).toEqual([`mailroom ${certificate?.x509ThumbprintHex}`]);
    expect(apps[0]?.passwords).toEqual([]);
    expect(secrets).toEqual({});
    expect(run.output).toContain('"type": "certificate"');
    expect(written(await register('--credential', 'certificate'))).toEqual([]);
  });

  it('rotates: the application knows both until the old one is ended', async () => {
    await register('--credential', 'certificate');
    const old = tenant.az.apps[0]?.keys[0]?.keyId;
    const dry = await register('--credential', 'certificate', '--rotate', '--dry-run');
    expect(written(dry)).toEqual([]);
    expect(dry.output.match(/^would .*$/gm)).toHaveLength(2);
    const run = await register('--credential', 'certificate', '--rotate');
    const { apps, certificates } = tenant.az;
    expect(apps[0]?.keys).toHaveLength(2);
    expect(apps[0]?.keys[1]?.displayName).toContain(certificates['corpus-client-certificate']?.x509ThumbprintHex);
    expect(run.output).toContain(`--cert --key-id ${old}`);
  });
});

describe('register-app.sh and permissions', () => {
  it('grants those of Exchange Online from its own API', async () => {
    await register('--permissions', 'IMAP.AccessAsApp,SMTP.SendAsApp');
    expect(granted()).toEqual(['IMAP.AccessAsApp', 'SMTP.SendAsApp']);
  });

  it('--scoped grants nothing of Graph, and refuses where Entra ID grants it already', async () => {
    const run = await register('--scoped', '--permissions', 'Mail.Send,POP.AccessAsApp');
    expect(run).toMatchObject({ code: 0 });
    expect(granted()).toEqual(['POP.AccessAsApp']);
    await register('--permissions', 'Mail.Send');
    const again = await register('--scoped');
    // Mail.ReadWrite is left to Exchange; Mail.Send holds for every mailbox.
    expect(again.code).toBe(1);
    const id = tenant.az.assignments.at(-1)?.id;
    expect(again.output).toContain(`appRoleAssignments/${id}`);
  });

  it.each([
    [['--permissions', 'Mail.Everything'], /Mail\.Everything/],
    [['--account', 'Corpus'], /--account/],
    [['--secret', 'other-secret'], /must begin with "corpus-"/],
    [['--credential', 'password'], /--credential/],
    [['--nonsense'], /unknown option --nonsense/],
    [['--years'], /needs a value/],
    [['--display-name', "x' or '1' eq '1"], /--display-name/],
  ])('refuses %j', async (more, why) => {
    const run = await register(...more);
    expect(run.code).toBe(1);
    expect(run.output).toMatch(why);
    expect(tenant.az.secrets).toEqual({});
  });

  it('does not guess which of two applications of one name is meant', async () => {
    const twin = { displayName: 'Mailroom corpus', passwords: [], keys: [] };
    tenant.az.apps.push({ ...twin, appId: 'a' }, { ...twin, appId: 'b' });
    const run = await register();
    expect(run.code).toBe(1);
    expect(written(run)).toEqual([]);
  });

  it('--help prints the usage', async () => {
    const { code, output } = await tenant.run('register-app.sh', '--help');
    expect(code).toBe(0);
    expect(output).toContain('--dry-run');
    expect(output).not.toContain('#!/');
  });
});
