import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { access, chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../local/ports.ts';

const run = promisify(execFile);

export interface OpenSmtpdOptions {
  /** Where every mail goes, whoever it is for: an LMTP server (RFC 2033), or a maildir (made where it is missing). */
  readonly deliverTo:
    | { readonly lmtp: { readonly host: string; readonly port: number } }
    | { readonly maildir: string };
  /** Largest mail in bytes, announced as SIZE. Default: OpenSMTPD's 35 MB. */
  readonly maxMessageSize?: number;
}

export interface OpenSmtpd {
  readonly host: string;
  readonly port: number;
  /** What it logged so far; for the message of a test that fails. */
  log(): string;
  stop(): Promise<void>;
}

/** Debian's place for the daemon. */
const program = '/usr/sbin/smtpd';
/** Its compiled-in queue, used as it is only where no private one can be mounted. */
const queueDirectory = '/var/spool/smtpd/queue';
/** Longest wait in ms for the greeting, other users of the one control socket included. */
const START_LIMIT_MS = 20_000;
/** Longest wait in ms for an orderly end. */
const STOP_LIMIT_MS = 5_000;
/** Characters of its log that are kept. */
const MAX_LOG = 100_000;

/** Why OpenSMTPD cannot run here, or undefined where it can. */
export async function openSmtpdMissing(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'OpenSMTPD runs as root only';
  try {
    await access(program);
    return undefined;
  } catch {
    return 'the Debian package opensmtpd is not installed';
  }
}

/**
 * Starts OpenSMTPD in the foreground on a port of the system's choice; it relays nothing and takes mail for everyone.
 * Its queue and control socket have fixed places, so it gets a mount namespace of its own with both of them empty:
 * several can run at a time, and a daemon that the machine runs for itself is not touched. Where mounting is not
 * allowed, one at a time runs on the fixed places, and only if the queue there is empty.
 */
export async function startOpenSmtpd(options: OpenSmtpdOptions): Promise<OpenSmtpd> {
  const missing = await openSmtpdMissing();
  if (missing) throw new Error(missing);
  const directory = await mkdtemp(join(tmpdir(), 'opensmtpd-'));
  // Delivery runs as nobody, who must be able to pass.
  await chmod(directory, 0o711);
  const port = await freePort();
  const configuration = join(directory, 'smtpd.conf');
  await writeFile(configuration, await configurationText(options, port));
  const isolated = await canMount();
  if (!isolated) await refuseForeignQueue();

  let log = '';
  const deadline = Date.now() + START_LIMIT_MS;
  for (;;) {
    const child = launch(configuration, isolated);
    const keep = (chunk: Buffer) => {
      log = `${log}${chunk}`.slice(-MAX_LOG);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    if (await greets(child, port, deadline)) {
      return {
        host: '127.0.0.1',
        port,
        log: () => log,
        async stop() {
          await end(child);
          await rm(directory, { recursive: true, force: true });
        },
      };
    }
    await end(child);
    // Another one may hold the control socket; it ends with its test.
    if (isolated || Date.now() > deadline) {
      await rm(directory, { recursive: true, force: true });
      throw new Error(`OpenSMTPD did not start: ${log}`);
    }
  }
}

async function configurationText(options: OpenSmtpdOptions, port: number): Promise<string> {
  const { deliverTo } = options;
  let method: string;
  if ('maildir' in deliverTo) {
    await mkdir(deliverTo.maildir, { recursive: true });
    await chmod(deliverTo.maildir, 0o777);
    method = `maildir "${deliverTo.maildir}"`;
  } else method = `lmtp "${deliverTo.lmtp.host}:${deliverTo.lmtp.port}" rcpt-to`;
  return [
    ...(options.maxMessageSize === undefined ? [] : [`smtp max-message-size ${options.maxMessageSize}`]),
    'table anyone { "@" = nobody }',
    `listen on 127.0.0.1 port ${port}`,
    `action "deliver" ${method} virtual <anyone>`,
    'match from any for any action "deliver"',
    '',
  ].join('\n');
}

let mountAllowed: Promise<boolean> | undefined;

function canMount(): Promise<boolean> {
  mountAllowed ??= run('unshare', [
    '--mount',
    '--propagation',
    'private',
    'mount',
    '-t',
    'tmpfs',
    'tmpfs',
    '/var/spool',
  ]).then(
    () => true,
    () => false,
  );
  return mountAllowed;
}

async function refuseForeignQueue(): Promise<void> {
  const waiting = await readdir(queueDirectory).catch(() => []);
  if (waiting.length > 0) throw new Error(`mail is waiting in ${queueDirectory}, which a test must not deliver`);
}

function launch(configuration: string, isolated: boolean): ChildProcess {
  const serve = [program, '-d', '-f', configuration];
  // It ends with its parent, so that a test run which is killed leaves no daemon behind.
  const bound = ['--pdeathsig', 'KILL'];
  const script = [
    'mount -t tmpfs tmpfs /var/spool',
    'mkdir -m 711 /var/spool/smtpd',
    'mount -t tmpfs tmpfs /var/run/',
    'exec "$@"',
  ].join(' && ');
  const own = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh'];
  return spawn('setpriv', [...bound, ...(isolated ? own : []), ...serve], { stdio: ['ignore', 'pipe', 'pipe'] });
}

async function greets(child: ChildProcess, port: number, deadline: number): Promise<boolean> {
  while (child.exitCode === null && child.signalCode === null && Date.now() < deadline) {
    if (await greeted(port)) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
}

function greeted(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port });
    const settle = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(1_000, () => settle(false));
    socket.once('data', (greeting) => settle(greeting.toString().startsWith('220')));
    socket.once('error', () => settle(false)).once('close', () => settle(false));
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
  await ended;
  clearTimeout(timer);
}

/** The mails in a maildir, in no particular order; a line ends with LF there. */
export async function readMaildir(maildir: string): Promise<readonly Buffer[]> {
  const names = await readdir(join(maildir, 'new')).catch(() => []);
  return Promise.all(names.map((name) => readFile(join(maildir, 'new', name))));
}
