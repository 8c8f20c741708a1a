import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type AzAnswer, type AzCall, AzStub, type Principal } from './az-stub.ts';

const scripts = fileURLToPath(new URL('..', import.meta.url));

/** An API of Microsoft as a tenant has it: a service principal with app roles. */
function api(appId: string, id: string, permissions: readonly string[]): Principal {
  const appRoles = permissions.map((value, index) => ({ id: `${id.slice(0, 35)}${index}`, value }));
  return { id, appId, servicePrincipalType: 'Application', appRoles };
}

export const graphApi = api('00000003-0000-0000-c000-000000000000', 'aaaaaaaa-0000-4000-8000-000000000000', [
  ...['Mail.Read', 'Mail.ReadWrite', 'Mail.Send'],
]);
export const exchangeApi = api('00000002-0000-0ff1-ce00-000000000000', 'bbbbbbbb-0000-4000-8000-000000000000', [
  ...['IMAP.AccessAsApp', 'POP.AccessAsApp', 'SMTP.SendAsApp'],
]);
export const identity: Principal = {
  id: 'cccccccc-0000-4000-8000-000000000000',
  appId: 'dddddddd-0000-4000-8000-000000000000',
  servicePrincipalType: 'ManagedIdentity',
  appRoles: [],
};

/**
 * The `az` on PATH: asks the test's process, so that a call costs no start of Node. Sent: the number of arguments and the
 * arguments, each ended by NUL. Answered: the status, then the lines of standard output (o) and of errors (e).
 */
const azScript = (port: number) => `#!/usr/bin/env bash
exec 3<>/dev/tcp/127.0.0.1/${port}
printf '%s\\0' "$#" "$@" >&3
read -r status <&3
while IFS= read -r line <&3; do
  case $line in
    o*) printf '%s\\n' "\${line:1}" ;;
    e*) printf '%s\\n' "\${line:1}" >&2 ;;
  esac
done
exit "$status"
`;

function answerText({ status, stdout, stderr }: AzAnswer): string {
  const lines = (mark: string, text: string) =>
    text
      .split('\n')
      .slice(0, -1)
      .map((line) => `${mark}${line}\n`);
  return [`${status}\n`, ...lines('o', stdout), ...lines('e', stderr)].join('');
}

export interface ScriptRun {
  readonly code: number;
  readonly output: string;
  /** What `az` was asked for in this run. */
  readonly calls: readonly AzCall[];
}

/** A tenant with a vault, and the scripts run against it. */
export class Tenant {
  readonly az = new AzStub([graphApi, exchangeApi, identity]);
  readonly #directory: string;
  readonly #server: Server;

  private constructor(directory: string) {
    this.#directory = directory;
    this.#server = createServer((socket) => {
      let text = '';
      socket
        .on('error', () => undefined)
        .on('data', (chunk) => {
          text += chunk.toString('utf8');
          const [count, ...args] = text.split('\0').slice(0, -1);
          if (count !== undefined && args.length === Number(count)) socket.end(answerText(this.az.run(args)));
        });
    });
  }

  static async start(): Promise<Tenant> {
    const tenant = new Tenant(await mkdtemp(join(tmpdir(), 'mailroom-az-')));
    await new Promise<void>((resolve) => tenant.#server.listen(0, '127.0.0.1', resolve));
    const address = tenant.#server.address();
    const file = join(tenant.#directory, 'az');
    await writeFile(file, azScript(typeof address === 'object' && address ? address.port : 0));
    await chmod(file, 0o755);
    return tenant;
  }

  async run(script: string, ...args: readonly string[]): Promise<ScriptRun> {
    const before = this.az.calls.length;
    const env = { PATH: `${this.#directory}:${process.env.PATH}`, TMPDIR: this.#directory, RETRY_SECONDS: '0' };
    const run = await new Promise<{ code: number; output: string }>((resolve) => {
      execFile('bash', [join(scripts, script), ...args], { env }, (error, stdout, stderr) => {
        resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, output: stdout + stderr });
      });
    });
    return { ...run, calls: this.az.calls.slice(before) };
  }

  async stop(): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve));
    await rm(this.#directory, { recursive: true, force: true });
  }
}
