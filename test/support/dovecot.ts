import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { access, chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from '../../local/ports.ts';
import { makeTestCertificates, type TestCertificates } from './certificates.ts';
import { type DovecotPorts, dovecotConfig, type MailOwner, oauth2Config } from './dovecot-config.ts';
import { type AppendOptions, RawImap } from './raw-imap.ts';

const run = promisify(execFile);

export interface DovecotOptions {
  /** Users and their passwords. Default: `tester` with `secret`. */
  readonly users?: Readonly<Record<string, string>>;
  readonly format?: 'maildir' | 'sdbox';
  /** Offers XOAUTH2 too; whose tokens are good is asked at this address (RFC 7662). */
  readonly introspectionUrl?: string;
  /** Lines for the end of the configuration, such as `imap_capability = …`. */
  readonly extra?: string;
  /** Default: a good one for localhost and 127.0.0.1. */
  readonly certificate?: 'good' | 'expired' | 'wrongHost' | 'selfSigned';
}

export interface Delivery extends AppendOptions {
  readonly folder?: string;
}

/** A Dovecot of one's own: configuration, mail and sockets in a temporary directory. */
export interface Dovecot {
  readonly host: '127.0.0.1';
  readonly ports: DovecotPorts;
  readonly certificates: TestCertificates;
  readonly users: Readonly<Record<string, string>>;
  /** Holds one directory per user. */
  readonly mailDir: string;
  /** A connection of the independent client, signed in as `user`. The caller closes it. */
  client(user?: string): Promise<RawImap>;
  /** Puts a mail into a folder (made when missing) by IMAP APPEND. */
  deliver(user: string, bytes: Buffer | string, delivery?: Delivery): Promise<void>;
  setUidValidity(user: string, folder: string, uidValidity: number): Promise<void>;
  doveadm(...args: readonly string[]): Promise<string>;
  stop(): Promise<void>;
  /** SIGKILL, as when the machine loses power. Ports and mail stay for `restart`. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  /** Ends it and removes all it kept. */
  remove(): Promise<void>;
}

/** Longest a start or a stop may take; a start takes about half a second. */
const START_LIMIT = 15_000;
const POLL_INTERVAL = 20;

/** Whether Dovecot is installed, so that a suite can say why it does not run. */
export async function hasDovecot(): Promise<boolean> {
  return (await dovecotBinary()) !== undefined;
}

/** Starts a Dovecot on ports of the system's choice. Runs as root or as the current user. Several run side by side. */
export async function startDovecot(options: DovecotOptions = {}): Promise<Dovecot> {
  const binary = await dovecotBinary();
  if (binary === undefined) throw new Error('dovecot is not installed (apt-get install dovecot-imapd dovecot-pop3d)');
  const base = await mkdtemp(join(tmpdir(), 'dc-'));
  await chmod(base, 0o755);
  const users = options.users ?? { tester: 'secret' };
  const mailDir = join(base, 'mail');
  await mkdir(mailDir, { recursive: true });
  const owner = await mailOwner();
  await chown(mailDir, owner.uid, owner.gid);
  const certificates = await makeTestCertificates(join(base, 'tls'), { variant: options.certificate ?? 'good' });
  const ports: DovecotPorts = {
    imap: await freePort(),
    imaps: await freePort(),
    pop3: await freePort(),
    pop3s: await freePort(),
    ...((await exists(lmtpBinary)) ? { lmtp: await freePort() } : {}),
  };
  const passwords = Object.entries(users).map(([user, password]) => `${user}:{PLAIN}${password}::::::`);
  await writeFile(join(base, 'passwd'), `${passwords.join('\n')}\n`);
  const configPath = join(base, 'dovecot.conf');
  const format = options.format ?? 'maildir';
  const xoauth2 = options.introspectionUrl === undefined ? undefined : join(base, 'oauth2.conf');
  if (xoauth2 !== undefined) await writeFile(xoauth2, oauth2Config(options.introspectionUrl ?? ''));
  await writeFile(
    configPath,
    dovecotConfig({ base, mailDir, owner, ports, certificates, format, xoauth2, extra: options.extra ?? '' }),
  );
  let child: ChildProcess | undefined;

  /** Also when the test process ends without having stopped it. */
  const killNow = () => {
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It ended in this very moment.
    }
  };
  const start = async () => {
    // A process group of its own, so that `kill` reaches the processes that serve connections as well.
    child = spawn(binary, ['-F', '-c', configPath], { stdio: 'ignore', detached: true });
    const started = child;
    process.once('exit', killNow);
    await until(async () => {
      if (started.exitCode !== null) throw new Error(`dovecot ended: ${await logTail(base)}`);
      return (await Promise.all(Object.values(ports).map(listens))).every(Boolean);
    });
  };
  const end = async (signal: NodeJS.Signals) => {
    const ending = child;
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => ending.once('exit', () => resolve()));
    if (signal === 'SIGKILL') killNow();
    else ending.kill(signal);
    child = undefined;
    process.off('exit', killNow);
    await ended;
    await until(async () => !(await Promise.all(Object.values(ports).map(listens))).some(Boolean));
  };
  const client = (user = Object.keys(users)[0] ?? 'tester') =>
    RawImap.connect({ host: '127.0.0.1', port: ports.imap, user, password: users[user] ?? '' });
  const doveadm = async (...args: readonly string[]) =>
    (await run(doveadmBinary(binary), ['-c', configPath, ...args])).stdout;

  try {
    await start();
  } catch (error) {
    await end('SIGKILL');
    await rm(base, { recursive: true, force: true });
    throw error;
  }
  return {
    host: '127.0.0.1',
    ports,
    certificates,
    users,
    mailDir,
    client,
    doveadm,
    deliver: async (user, bytes, delivery = {}) => {
      const connection = await client(user);
      try {
        const folder = delivery.folder ?? 'INBOX';
        if (folder !== 'INBOX') await connection.createFolder(folder);
        await connection.append(folder, Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes), delivery);
      } finally {
        await connection.close();
      }
    },
    setUidValidity: async (user, folder, uidValidity) => {
      await doveadm('mailbox', 'update', '-u', user, '--uid-validity', String(uidValidity), folder);
    },
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    restart: async () => {
      await end('SIGTERM');
      await start();
    },
    remove: async () => {
      // Nothing of it is kept, so it need not end in good order, which takes Dovecot a second.
      await end('SIGKILL');
      await rm(base, { recursive: true, force: true });
    },
  };
}

async function dovecotBinary(): Promise<string | undefined> {
  for (const path of ['/usr/sbin/dovecot', '/usr/local/sbin/dovecot']) {
    if (await exists(path)) return path;
  }
  return undefined;
}

/** Part of a package of its own on Debian. */
const lmtpBinary = '/usr/lib/dovecot/lmtp';

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

const doveadmBinary = (dovecot: string) => dovecot.replace(/sbin\/dovecot$/, 'bin/doveadm');

/** As root mail belongs to the package's own user (Dovecot refuses uid 0 for mail); otherwise to the current user. */
async function mailOwner(): Promise<MailOwner> {
  const me = userInfo();
  const name = me.uid === 0 ? 'dovecot' : me.username;
  const id = async (flag: string) => (await run('id', [flag, name])).stdout.trim();
  return {
    name,
    group: await id('-gn'),
    uid: Number(await id('-u')),
    gid: Number(await id('-g')),
    root: me.uid === 0,
  };
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + START_LIMIT;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('dovecot did not get there in time');
    await delay(POLL_INTERVAL);
  }
}

async function logTail(base: string): Promise<string> {
  const text = await readFile(join(base, 'log'), 'utf8').catch(() => 'no log');
  return text.trim().split('\n').slice(-5).join('; ');
}
