import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FaultRule } from '../local/graph/graph.ts';
import { audit, inboxRows } from './support/audit.ts';
import { graphAccount } from './support/graph-account.ts';
import { Mailroom, until } from './support/mailroom.ts';
import { random, type TestMail, testMail } from './support/mails.ts';
import { type OddFolder, oddFolderScript } from './support/odd-imap-folder.ts';
import { type ScriptedImap, startScriptedImap } from './support/scripted-imap.ts';
import { type ScriptedPop3, startScriptedPop3 } from './support/scripted-pop3.ts';
import { serverAccount } from './support/server-account.ts';
import { startSlowProxy } from './support/slow-proxy.ts';

const hourMs = 3_600_000;
const value = '/messages/{message-id}/$value';
const users = { tester: 'the password of tester' };
const graphUsers = Array.from({ length: 9 }, (_, n) => `trouble${n}@example.com`);

let mailroom: Mailroom;
let shiftMs = 0;
let seed = 0;
const stops: (() => Promise<void>)[] = [];

beforeAll(async () => {
  mailroom = await Mailroom.start({
    graph: graphUsers.map((userPrincipalName) => ({ userPrincipalName })),
    env: { IMPORT_BUDGET_SECONDS: '10' },
  });
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

async function later(byMs: number): Promise<void> {
  shiftMs += byMs;
  await mailroom.setClock(shiftMs);
}

const status = async (name: string) => (await mailroom.expect(200, 'GET', `/api/accounts/${name}/status`)).json;

/** A mailbox whose server can be made to refuse. */
interface Site {
  readonly name: string;
  deliver(mails: readonly TestMail[]): void;
  /** Refuses the content of every mail, or of those with these places; undefined: gives all. */
  refuse(answer: string | undefined, places?: readonly number[]): void;
}

async function imapSite(name: string): Promise<Site & { readonly folder: OddFolder; readonly server: ScriptedImap }> {
  const folder: OddFolder = { mails: [], uidValidity: 7 };
  const server = await startScriptedImap(oddFolderScript(folder));
  stops.push(() => server.stop());
  await serverAccount(mailroom, name, { ports: { imap: server.port }, users }, { rule: { markRead: false } });
  return {
    name,
    folder,
    server,
    deliver: (delivered) => {
      for (const { bytes } of delivered) {
        folder.mails.push({ uid: folder.mails.length + 1, text: bytes.toString('latin1') });
      }
    },
    refuse: (answer, places) => {
      folder.refuse = (uid) => (places === undefined || places.includes(uid - 1) ? answer : undefined);
    },
  };
}

async function pop3Site(name: string): Promise<Site & { readonly server: ScriptedPop3 }> {
  let refusal: string | undefined;
  let refusedAt: readonly number[] | undefined;
  const server = await startScriptedPop3({
    script: {
      RETR: (line) => {
        const place = Number(line.split(' ')[1]) - 1;
        const refused = refusal !== undefined && (refusedAt === undefined || refusedAt.includes(place));
        return refused ? `${refusal}\r\n` : 'ordinary';
      },
    },
  });
  stops.push(() => server.stop());
  const account = { protocol: 'pop3', rule: { markRead: false } } as const;
  await serverAccount(mailroom, name, { ports: { pop3: server.port }, users }, account);
  return {
    name,
    server,
    deliver: (delivered) => {
      for (const { bytes } of delivered) server.mails.push({ uidl: `u${server.mails.length}`, bytes });
    },
    refuse: (answer, places) => {
      refusal = answer;
      refusedAt = places;
    },
  };
}

async function graphSite(name: string, folders?: readonly string[]): Promise<Site & { readonly user: string }> {
  const user = graphUsers.pop() ?? '';
  await graphAccount(mailroom, name, { user, transport: null, ...(folders ? { folders } : {}) });
  const box = mailroom.graph.mailbox(user);
  return {
    name,
    user,
    deliver: (delivered) => {
      for (const { bytes } of delivered) box.deliver(bytes);
    },
    refuse: (answer, places) => {
      mailroom.graph.faults.clear();
      if (answer === undefined) return;
      const [status, code] = [Number(answer.split(' ')[0]), answer.split(' ')[1] ?? ''];
      const ids = places?.map((place) => box.mails('inbox')[place]?.immutableId);
      const when: FaultRule['when'] = ({ message }) => ids === undefined || ids.includes(message);
      const times = Number.POSITIVE_INFINITY;
      mailroom.graph.faults.add({ fault: { kind: 'refused', status, code }, route: value, user, when, times });
    },
  };
}

/** Imports, an hour apart, until nothing is pending. */
async function importAll({ name }: Site, rounds = 4): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    await mailroom.import(name);
    if ((await status(name)).pending === 0) return;
    await later(2 * hourMs);
  }
  throw new Error(`mail is still pending: ${JSON.stringify(await status(name))}`);
}

/** Servers that refuse to give mail, by what each says. */
type Refusing = readonly [title: string, make: (name: string) => Promise<Site>, answer: string];

async function sites(refusing: readonly Refusing[], places?: readonly number[]) {
  return await Promise.all(
    refusing.map(async ([title, make, answer], n) => {
      const site = await make(`refusing${seed}-${n}`);
      const delivered = mails(4);
      site.deliver(delivered);
      site.refuse(answer, places);
      return { title, site, delivered };
    }),
  );
}

describe('a server that refuses', () => {
  it('every mail: no attempt of any mail, reported, and all is imported when it has passed', {
    timeout: 180_000,
  }, async () => {
    const all = await sites([
      ['IMAP, NO [TEMPFAIL]', imapSite, 'NO [TEMPFAIL] storage is away'],
      ['IMAP, NO [SERVERBUG]', imapSite, 'NO [SERVERBUG] internal error'],
      ['IMAP, NO without a reason', imapSite, 'NO no'],
      ['POP3, -ERR Temporary', pop3Site, '-ERR Temporary failure, come back later'],
      ['POP3, -ERR without a reason', pop3Site, '-ERR no'],
      ['Graph, 500', graphSite, '500 ErrorInternalServerError'],
    ]);
    for (let round = 0; round < 6; round += 1) {
      for (const { title, site } of all) {
        expect(await mailroom.import(site.name), title).toMatchObject({ status: 'failed', imported: 0 });
        expect(await status(site.name), title).toMatchObject({ quarantined: 0, failing: [{ side: 'store' }] });
      }
      await later(2 * hourMs);
    }
    for (const { site } of all) site.refuse(undefined);
    for (const { title, site, delivered } of all) {
      await importAll(site);
      await audit(mailroom, site.name, delivered);
      expect((await status(site.name)).failing, title).toEqual([]);
    }
  });

  it('one mail while it gives others: that is the mail’s own trouble, and it is quarantined', {
    timeout: 180_000,
  }, async () => {
    const all = await sites(
      [
        ['IMAP', imapSite, 'NO cannot read this one'],
        ['POP3', pop3Site, '-ERR cannot read this one'],
        ['Graph', graphSite, '500 ErrorInternalServerError'],
      ],
      [1],
    );
    for (let attempt = 1; attempt <= 5; attempt += 1) {
      for (const { title, site } of all) {
        const run = await mailroom.import(site.name);
        expect(run, title).toMatchObject({ status: 'done', imported: attempt === 1 ? 3 : 0 });
        expect(await status(site.name), title).toMatchObject({ quarantined: attempt < 5 ? 0 : 1, failing: [] });
      }
      await later(2 * hourMs);
    }
  });
});

describe('a mail that is said not to be there', () => {
  it.each([
    ['Graph, 404 to $value', graphSite, '404 ErrorItemNotFound'],
    ['POP3, -ERR no such message', pop3Site, '-ERR no such message'],
  ])('%s: is imported when that has passed, without a sweep', { timeout: 180_000 }, async (_, make, answer) => {
    const site = await make(`absent${seed}`);
    const delivered = mails(12);
    site.deliver(delivered);
    site.refuse(answer, [0, 3, 4, 7, 11]);
    expect(await mailroom.import(site.name)).toMatchObject({ status: 'done', imported: 7, skipped: 0, pending: 5 });
    site.refuse(undefined);
    await later(hourMs);
    await importAll(site);
    await audit(mailroom, site.name, delivered);
  });

  it('IMAP, no answer for a UID and a SEARCH that names none: stays pending while FETCH lists it', {
    timeout: 180_000,
  }, async () => {
    const site = await imapSite(`absent${seed}`);
    const delivered = mails(5);
    site.deliver(delivered);
    // Its body is never sent, and SEARCH does not know it either; a listing by FETCH does.
    site.folder.bodiless = new Set([2]);
    site.folder.unsearchable = new Set([2]);
    expect(await mailroom.import(site.name)).toMatchObject({ status: 'done', imported: 4, skipped: 0, pending: 1 });
    site.folder.bodiless = new Set();
    await later(hourMs);
    await importAll(site);
    await audit(mailroom, site.name, delivered);
  });
});

/** What a dry run says: how many mails would be imported, and what is wrong. */
async function dryRun(name: string): Promise<{ readonly imports: number; readonly error: string | undefined }> {
  const { json } = await mailroom.expect(200, 'POST', `/api/accounts/${name}/import`, { body: { dryRun: true } });
  const imports = json.items.filter(({ action }: { action: string }) => action === 'import').length;
  return { imports, error: json.error };
}

describe('one folder that fails', () => {
  it('on Graph: the others are imported and swept, run and status say which', { timeout: 180_000 }, async () => {
    const folders = ['inbox/Missing', 'inbox', 'archive'];
    const site = await graphSite('lacking', folders);
    const box = mailroom.graph.mailbox(site.user);
    const [first, second, third] = [mails(2), mails(3), mails(1)];
    site.deliver(first);
    for (const { bytes } of second) box.deliver(bytes, { folder: 'archive' });
    expect(await dryRun('lacking')).toEqual({ imports: 5, error: expect.stringMatching(/inbox\/Missing/) });
    const run = await mailroom.import('lacking');
    expect(run).toMatchObject({ status: 'done', imported: 5, error: expect.stringMatching(/inbox\/Missing/) });
    expect((await status('lacking')).failing).toMatchObject([
      { side: 'store', hint: expect.stringMatching(/Missing/) },
    ]);
    // The sweep goes through the others as well.
    site.deliver(third);
    await mailroom.fireToEnd('sweep');
    await audit(mailroom, 'lacking', [...first, ...second, ...third]);
    box.createFolder('Inbox/Missing');
    expect(await mailroom.import('lacking')).toMatchObject({ status: 'done', imported: 0 });
    expect((await status('lacking')).failing).toEqual([]);
    expect(await dryRun('lacking')).toEqual({ imports: 0, error: undefined });
  });

  it('on IMAP: one that is missing, one without UIDVALIDITY', { timeout: 180_000 }, async () => {
    const folder: OddFolder = { mails: [], uidValidity: 7 };
    const script = oddFolderScript(folder);
    const server = await startScriptedImap({
      ...script,
      EXAMINE: (tag, line) => {
        if (line.includes('Missing')) return `${tag} NO [NONEXISTENT] no such folder\r\n`;
        if (line.includes('Broken')) return `* 1 EXISTS\r\n${tag} OK [READ-ONLY] done\r\n`;
        return script.EXAMINE?.(tag, line);
      },
    });
    stops.push(() => server.stop());
    const delivered = mails(3);
    for (const [n, { bytes }] of delivered.entries()) folder.mails.push({ uid: n + 1, text: bytes.toString('latin1') });
    const folders = ['Missing', 'Broken', 'INBOX'];
    const account = { folders, rule: { markRead: false } };
    await serverAccount(mailroom, 'lacking-imap', { ports: { imap: server.port }, users }, account);
    expect(await dryRun('lacking-imap')).toEqual({ imports: 3, error: expect.stringMatching(/Missing.*Broken/s) });
    const run = await mailroom.import('lacking-imap');
    expect(run).toMatchObject({ status: 'done', imported: 3, error: expect.stringMatching(/Missing.*Broken/s) });
    expect((await status('lacking-imap')).failing).toHaveLength(1);
    await audit(mailroom, 'lacking-imap', delivered);
  });
});

describe('changes without end', () => {
  it('are ended, the folder is listed instead, and the run says so', { timeout: 180_000 }, async () => {
    const site = await graphSite('endless');
    const delivered = mails(6);
    site.deliver(delivered);
    mailroom.graph.faults.add({
      fault: { kind: 'emptyPage' },
      route: '/delta()',
      user: site.user,
      times: Number.POSITIVE_INFINITY,
    });
    const run = await mailroom.import('endless');
    expect(run).toMatchObject({ status: 'done', imported: 6, error: expect.stringMatching(/do not end/) });
    expect((await status('endless')).failing).toMatchObject([{ side: 'store' }]);
    mailroom.graph.faults.clear();
    expect(await mailroom.import('endless')).toMatchObject({ status: 'done', imported: 0 });
    await audit(mailroom, 'endless', delivered);
  });
});

describe('a mail that takes longer than a run has time', () => {
  it('holds up no other, is tried last, and is imported when there is time', { timeout: 180_000 }, async () => {
    const site = await graphSite('slow');
    const box = mailroom.graph.mailbox(site.user);
    const slow = testMail({ n: 99_000, attachment: 2_000_000 }, random(99));
    const good = mails(7);
    box.deliver(slow.bytes);
    site.deliver(good);
    const id = box.mails('inbox')[0]?.immutableId;
    mailroom.graph.faults.add({
      fault: { kind: 'slowBody', bytesPerSecond: 40_000 },
      route: value,
      user: site.user,
      when: ({ message }) => message === id,
      times: Number.POSITIVE_INFINITY,
    });
    expect(await mailroom.import('slow', 90)).toMatchObject({ status: 'done', imported: 7 });
    expect(await status('slow')).toMatchObject({ pending: 1, quarantined: 0 });
    // It waits; mail that comes meanwhile does not.
    const fresh = mails(2);
    site.deliver(fresh);
    await later(hourMs);
    await until('the fresh ones imported', 120, async () => {
      await mailroom.import('slow', 90);
      return (await mailroom.assets('slow')).length === 9;
    });
    mailroom.graph.faults.clear();
    await later(2 * hourMs);
    await importAll(site);
    await audit(mailroom, 'slow', [slow, ...good, ...fresh]);
  });

  it('is quarantined after five tries that had the time of a run, and until then keeps no other out', {
    timeout: 600_000,
  }, async () => {
    const sites = await Promise.all((['imap', 'pop3', 'graph'] as const).map(slowSite));
    const fresh = new Map<string, TestMail[]>(sites.map(({ name }) => [name, []]));
    let open: typeof sites = sites;
    for (let runs = 0; runs < 10 && open.length > 0; runs += 1) {
      const left = await Promise.all(
        open.map(async (site) => {
          const some = mails(1);
          site.deliver(some);
          fresh.get(site.name)?.push(...some);
          expect(await mailroom.import(site.name, 90), site.name).toMatchObject({ status: 'done', imported: 1 });
          return (await status(site.name)).quarantined === 0 ? [site] : [];
        }),
      );
      open = left.flat();
      await later(2 * hourMs);
    }
    expect(open.map(({ name }) => name)).toEqual([]);
    for (const { name } of sites) {
      const quarantined = await inboxRows(mailroom, name, 'q:');
      expect(quarantined.map(({ columns }) => columns.reason)).toEqual(['The mail takes longer than a run has time']);
      const imported = (await mailroom.assets(name)).map(({ sha256 }) => sha256).sort();
      expect(imported, name).toEqual(
        fresh
          .get(name)
          ?.map(({ sha256 }) => sha256)
          .sort(),
      );
    }
  });
});

/** A mailbox of any protocol that holds one mail which its server gives too slowly. */
async function slowSite(protocol: 'imap' | 'pop3' | 'graph') {
  const name = `too-slow-${protocol}`;
  const slow = testMail({ n: 98_000, attachment: 2_000_000 }, random(98));
  if (protocol === 'graph') {
    const site = await graphSite(name);
    const box = mailroom.graph.mailbox(site.user);
    box.deliver(slow.bytes);
    const id = box.mails('inbox')[0]?.immutableId;
    mailroom.graph.faults.add({
      fault: { kind: 'slowBody', bytesPerSecond: 20_000 },
      route: value,
      user: site.user,
      when: ({ message }) => message === id,
      times: Number.POSITIVE_INFINITY,
    });
    return site;
  }
  const site = protocol === 'imap' ? await imapSite(name) : await pop3Site(name);
  const proxy = await startSlowProxy({ host: '127.0.0.1', port: site.server.port });
  stops.push(() => proxy.stop());
  const account = { protocol, port: proxy.port, rule: { markRead: false } };
  await serverAccount(mailroom, name, { ports: {}, users }, account);
  site.deliver([slow]);
  proxy.slowAt('Mail number 98000', 20_000);
  return site;
}
