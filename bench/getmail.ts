import { execFile } from 'node:child_process';
import { access, chown, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Where Debian's package getmail6 puts it. */
const binary = '/usr/bin/getmail';
const limitMs = 300_000;
/**
 * getmail6 waits for the process that it forks for each mail, and now and then misses its end: then it waits for this
 * long and gives up. What it stored until then is what is counted.
 */
const stallSeconds = 20;
const folders = ['cur', 'new', 'tmp'];

export interface GetmailSource {
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly mails: number;
}

export interface GetmailRate {
  readonly mailsPerSecond: number;
  readonly stored: number;
  /** It gave up before the last mail. */
  readonly stalled: boolean;
}

/** getmail6 refuses to deliver as root; then it runs as `nobody`, who is given the files. */
async function unprivileged(files: readonly string[], maildir: string): Promise<{ uid?: number; gid?: number }> {
  if (process.getuid?.() !== 0) return {};
  const id = async (flag: string) => Number((await run('id', [flag, 'nobody'])).stdout);
  const [uid, gid] = [await id('-u'), await id('-g')];
  for (const file of [...files, ...folders.map((folder) => join(maildir, folder))]) await chown(file, uid, gid);
  return { uid, gid };
}

/** Mails per second that getmail6 brings from a mailbox into a new maildir; undefined where it is not installed. */
export async function getmailRate(source: GetmailSource): Promise<GetmailRate | undefined> {
  const installed = await access(binary).then(
    () => true,
    () => false,
  );
  if (!installed) return undefined;
  const base = await mkdtemp(join(tmpdir(), 'bench-getmail-'));
  try {
    const maildir = join(base, 'maildir');
    await Promise.all(folders.map((folder) => mkdir(join(maildir, folder), { recursive: true })));
    const settings = [
      ...['[retriever]', 'type = SimpleIMAPRetriever', 'server = 127.0.0.1', `port = ${source.port}`],
      ...[`username = ${source.user}`, `password = ${source.password}`, 'mailboxes = ("INBOX",)'],
      ...[`timeout = ${stallSeconds}`, ''],
      ...['[destination]', 'type = Maildir', `path = ${maildir}/`, ''],
      ...['[options]', 'read_all = true', 'delete = false', 'verbose = 0', ''],
    ];
    await writeFile(join(base, 'getmailrc'), settings.join('\n'), { mode: 0o600 });
    const identity = await unprivileged([base, maildir, join(base, 'getmailrc')], maildir);
    const started = Date.now();
    const failure = await run(binary, ['--getmaildir', base, '--rcfile', 'getmailrc'], {
      timeout: limitMs,
      ...identity,
    }).then(() => undefined, lastLine);
    const stored = await lastStored(join(maildir, 'new'));
    const stalled = stored.mails < source.mails;
    if (stored.mails === 0 || (stalled && !failure?.includes('timed out'))) {
      throw new Error(`getmail6 stored ${stored.mails} of ${source.mails} mails: ${failure ?? 'no reason given'}`);
    }
    return { mailsPerSecond: stored.mails / ((stored.at - started) / 1000), stored: stored.mails, stalled };
  } finally {
    await rm(base, { recursive: true, force: true });
  }
}

function lastLine(error: unknown): string {
  const output = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
  return output.trim().split('\n').at(-1) ?? '';
}

/** How many mails there are, and when the last of them was written. */
async function lastStored(folder: string): Promise<{ readonly mails: number; readonly at: number }> {
  const names = await readdir(folder);
  const times = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).mtimeMs));
  return { mails: names.length, at: Math.max(...times) };
}
