import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { audit } from './support/audit.ts';
import { graphAccount } from './support/graph-account.ts';
import { Mailroom } from './support/mailroom.ts';
import { random, type TestMail, testMail } from './support/mails.ts';
import { type OddFolder, oddFolderScript } from './support/odd-imap-folder.ts';
import { startScriptedImap } from './support/scripted-imap.ts';
import { startScriptedPop3 } from './support/scripted-pop3.ts';
import { serverAccount } from './support/server-account.ts';

const users = { tester: 'the password of tester' };
const graphUsers = Array.from({ length: 6 }, (_, n) => `since${n}@example.com`);
const rule = { since: 'now', markRead: false };
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

let mailroom: Mailroom;
let seed = 0;
const stops: (() => Promise<void>)[] = [];

beforeAll(async () => {
  mailroom = await Mailroom.start({ graph: graphUsers.map((userPrincipalName) => ({ userPrincipalName })) });
});

afterAll(async () => {
  await mailroom?.stop();
  for (const stop of stops) await stop();
});

function mails(howMany: number): TestMail[] {
  seed += 1;
  const next = random(seed);
  return Array.from({ length: howMany }, (_, n) => testMail({ n: seed * 1_000 + n }, next));
}

/** As INTERNALDATE has it. */
function internalDate(time: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const clock = [time.getUTCHours(), time.getUTCMinutes(), time.getUTCSeconds()].map(two).join(':');
  return `${two(time.getUTCDate())}-${months[time.getUTCMonth()]}-${time.getUTCFullYear()} ${clock} +0000`;
}

interface Site {
  readonly name: string;
  deliver(mails: readonly TestMail[]): void;
  /** Saves the account. */
  save(): Promise<void>;
}

async function imapSite(name: string): Promise<Site & { readonly folder: OddFolder }> {
  const folder: OddFolder = { mails: [], uidValidity: 7, uidNext: 1 };
  const server = await startScriptedImap(oddFolderScript(folder));
  stops.push(() => server.stop());
  return {
    name,
    folder,
    deliver: (delivered) => {
      for (const { bytes } of delivered) {
        const uid = folder.uidNext ?? 1;
        folder.mails.push({ uid, text: bytes.toString('latin1'), date: internalDate(new Date()) });
        folder.uidNext = uid + 1;
      }
    },
    save: () => serverAccount(mailroom, name, { ports: { imap: server.port }, users }, { rule }),
  };
}

async function pop3Site(name: string): Promise<Site> {
  const server = await startScriptedPop3();
  stops.push(() => server.stop());
  const account = { protocol: 'pop3', rule } as const;
  return {
    name,
    deliver: (delivered) => {
      for (const { bytes } of delivered) server.mails.push({ uidl: `u${server.mails.length}`, bytes });
    },
    save: () => serverAccount(mailroom, name, { ports: { pop3: server.port }, users }, account),
  };
}

async function graphSite(
  name: string,
): Promise<Site & { readonly user: string; save(folders?: readonly string[]): Promise<void> }> {
  const user = graphUsers.pop() ?? '';
  const box = mailroom.graph.mailbox(user);
  return {
    name,
    user,
    deliver: (delivered) => {
      for (const { bytes } of delivered) box.deliver(bytes);
    },
    save: (folders: readonly string[] = ['inbox']) =>
      graphAccount(mailroom, name, { user, transport: null, folders, rule }),
  };
}

const makers = [
  ['IMAP', imapSite],
  ['POP3', pop3Site],
  ['Graph', graphSite],
] as const;

describe.each([
  ['ten minutes ahead', 600_000],
  ['ten minutes behind', -600_000],
])('since: "now" with our clock %s of the server', (_, shiftMs) => {
  beforeAll(async () => {
    await mailroom.setClock(shiftMs);
  });

  it.each(makers)('on %s: nothing that was there, all that comes after', { timeout: 180_000 }, async (title, make) => {
    const site = await make(`now-${title.toLowerCase()}-${shiftMs > 0 ? 'ahead' : 'behind'}`);
    site.deliver(mails(5));
    await site.save();
    const fresh = mails(5);
    site.deliver(fresh);
    // Saving again does not move the moment.
    await site.save();
    expect(await mailroom.import(site.name)).toMatchObject({ status: 'done', imported: 5 });
    const later = mails(2);
    site.deliver(later);
    expect(await mailroom.import(site.name)).toMatchObject({ status: 'done', imported: 2 });
    await mailroom.fireToEnd('sweep');
    await audit(mailroom, site.name, [...fresh, ...later]);
    // What is noted of the folder is no original that was left alone.
    const { json } = await mailroom.expect(200, 'GET', `/api/accounts/${site.name}/status`);
    expect(json).toMatchObject({ disposalsDropped: 0, disposalsFailing: { count: 0 } });
  });
});

describe('what was there stays out', () => {
  it('on IMAP under a new UIDVALIDITY, and with UIDs given anew', { timeout: 180_000 }, async () => {
    const site = await imapSite('now-anew');
    site.deliver(mails(4));
    const [first] = site.folder.mails;
    await site.save();
    expect(await mailroom.import(site.name)).toMatchObject({ imported: 0 });
    // The next second by the server's clock: within one, its order is lost with the UIDVALIDITY.
    const after = internalDate(new Date(Date.now() + 2_000));
    site.folder.uidValidity = 8;
    const fresh = mails(1);
    site.deliver(fresh);
    site.folder.mails = site.folder.mails.map((mail) => (mail.uid === 5 ? { ...mail, date: after } : mail));
    expect(await mailroom.import(site.name)).toMatchObject({ status: 'done', imported: 1 });
    // UIDNEXT goes back: all have other UIDs.
    site.folder.mails = site.folder.mails.slice(1).map((mail, n) => ({ ...mail, uid: n + 1 }));
    site.folder.uidNext = 5;
    expect(first).toBeDefined();
    expect(await mailroom.import(site.name)).toMatchObject({ status: 'done', imported: 0 });
    await audit(mailroom, site.name, fresh);
  });

  it('on Graph when the token is no longer known, and when it is moved out and back', {
    timeout: 180_000,
  }, async () => {
    const site = await graphSite('now-410');
    const box = mailroom.graph.mailbox(site.user);
    site.deliver(mails(6));
    await site.save();
    const held = box.mails('inbox')[2]?.immutableId ?? '';
    box.move(held, 'archive');
    expect(await mailroom.import(site.name)).toMatchObject({ imported: 0 });
    box.move(held, 'inbox');
    const fault = { kind: 'gone', code: 'syncStateNotFound' } as const;
    mailroom.graph.faults.add({ fault, route: '/delta()', user: site.user });
    const fresh = mails(2);
    site.deliver(fresh);
    expect(await mailroom.import(site.name)).toMatchObject({ status: 'done', imported: 2 });
    await audit(mailroom, site.name, fresh);
  });

  it('in a folder that is added later, as it is then', { timeout: 180_000 }, async () => {
    const site = await graphSite('now-added');
    const box = mailroom.graph.mailbox(site.user);
    await site.save(['inbox']);
    for (const { bytes } of mails(3)) box.deliver(bytes, { folder: 'archive' });
    await site.save(['inbox', 'archive']);
    const fresh = mails(2);
    for (const { bytes } of fresh) box.deliver(bytes, { folder: 'archive' });
    expect(await mailroom.import(site.name)).toMatchObject({ status: 'done', imported: 2 });
    await audit(mailroom, site.name, fresh);
  });

  it('where the server could not be asked at the PUT: a warning, and the first run that reaches it decides', {
    timeout: 180_000,
  }, async () => {
    const site = await graphSite('now-later');
    site.deliver(mails(3));
    const times = Number.POSITIVE_INFINITY;
    mailroom.graph.faults.add({ fault: { kind: 'unavailable' }, route: '/delta()', user: site.user, times });
    await site.save();
    const { json } = await mailroom.expect(200, 'GET', `/api/accounts/${site.name}`);
    const body = { ...json, name: undefined, warnings: undefined };
    const again = await mailroom.expect(200, 'PUT', `/api/accounts/${site.name}`, { body });
    expect(again.json.warnings).toContainEqual({
      pointer: '/import/since',
      detail: expect.stringMatching(/first run that reaches it/),
    });
    expect(await mailroom.import(site.name)).toMatchObject({ status: 'failed', imported: 0 });
    mailroom.graph.faults.clear();
    expect(await mailroom.import(site.name)).toMatchObject({ status: 'done', imported: 0 });
    const fresh = mails(2);
    site.deliver(fresh);
    expect(await mailroom.import(site.name)).toMatchObject({ status: 'done', imported: 2 });
    await audit(mailroom, site.name, fresh);
  });
});
