import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type Azurite, startAzurite } from '../../local/azurite.ts';
import { localCertificate } from '../../local/certificate.ts';
import { type Entra, startEntra } from '../../local/entra/entra.ts';
import { type Graph, type MailboxOptions, startGraph } from '../../local/graph/graph.ts';
import { type KeyVault, startKeyVault } from '../../local/key-vault/key-vault.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const host = fileURLToPath(new URL('../../local/host/main.ts', import.meta.url));
const shiftedClock = pathToFileURL(fileURLToPath(new URL('./shifted-clock.mjs', import.meta.url))).href;

const identity = {
  tenantId: '11111111-1111-4111-8111-111111111111',
  clientId: '22222222-2222-4222-8222-222222222222',
  secret: 'test-client-secret',
};
const functionKey = 'test-function-key';
const masterKey = 'test-master-key';

/** Never by itself: the tests fire the timers. */
const never = '0 0 0 1 1 *';

type Environment = Readonly<Record<string, string | undefined>>;

export interface MailroomOptions {
  /** Settings on top of the test's own; undefined takes one away. A function is asked at every start. */
  readonly env?: Environment | ((azurite: Azurite) => Environment);
  /** Storage on disk, so that Azurite can be stopped and started again. */
  readonly durable?: boolean;
  /** Microsoft Graph beside it, with these mailboxes. */
  readonly graph?: readonly MailboxOptions[];
}

export interface CallOptions {
  readonly body?: unknown;
  readonly raw?: Buffer | ReadableStream<Uint8Array>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly key?: string | null;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into answers of any shape.
  readonly json: any;
}

/** The built app on the local host in a process of its own, with storage, Entra and Key Vault beside it. */
export class Mailroom {
  readonly directory: string;
  readonly entra: Entra;
  readonly keyVault: KeyVault;
  readonly #graph: Graph | undefined;
  azurite: Azurite;
  readonly #options: MailroomOptions;
  readonly #caFile: string;
  #child: ChildProcess | undefined;
  #port = 0;
  #shiftMs = 0;

  private constructor(
    parts: {
      directory: string;
      azurite: Azurite;
      entra: Entra;
      keyVault: KeyVault;
      graph: Graph | undefined;
      caFile: string;
    },
    options: MailroomOptions,
  ) {
    this.directory = parts.directory;
    this.azurite = parts.azurite;
    this.entra = parts.entra;
    this.keyVault = parts.keyVault;
    this.#graph = parts.graph;
    this.#caFile = parts.caFile;
    this.#options = options;
  }

  static async start(options: MailroomOptions = {}): Promise<Mailroom> {
    const directory = await mkdtemp(join(tmpdir(), 'mailroom-test-'));
    const certificate = await localCertificate(join(directory, 'certificate'));
    const azurite = await startAzurite(options.durable ? { location: join(directory, 'azurite') } : {});
    const entra = await startEntra({ certificate, apps: [{ ...identity, roles: ['Mail.ReadWrite', 'Mail.Send'] }] });
    const keyVault = await startKeyVault({ certificate, authority: entra, tenantId: identity.tenantId });
    const graph = options.graph && (await startGraph({ certificate, entra, mailboxes: options.graph }));
    const mailroom = new Mailroom({ directory, azurite, entra, keyVault, graph, caFile: certificate.caFile }, options);
    await mailroom.run();
    return mailroom;
  }

  get graph(): Graph {
    if (!this.#graph) throw new Error('Graph was not asked for');
    return this.#graph;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** What the functions process has written so far. */
  async log(): Promise<string> {
    return await readFile(join(this.directory, 'functions.log'), 'utf8').catch(() => '');
  }

  /** Starts the functions process; its clock runs `shiftMs` ahead of the machine's. */
  async run(options: { readonly shiftMs?: number } = {}): Promise<void> {
    this.#shiftMs = options.shiftMs ?? this.#shiftMs;
    const child = fork(host, ['--app', root], {
      cwd: root,
      env: this.#environment(),
      execArgv: [],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const output = createWriteStream(join(this.directory, 'functions.log'), { flags: 'a' });
    child.stdout?.pipe(output, { end: false });
    child.stderr?.pipe(output, { end: false });
    this.#child = child;
    const ready = new Promise<number>((resolve) => {
      child.on('message', (message: { type?: string; port?: number }) => {
        if (message.type === 'ready') resolve(message.port ?? 0);
      });
    });
    const ended = once(child, 'exit').then(() => undefined);
    const port = await Promise.race([ready, ended]);
    if (port === undefined) throw new Error(`The functions process ended at start:\n${await this.log()}`);
    this.#port = port;
  }

  #environment(): NodeJS.ProcessEnv {
    const given: Record<string, string | undefined> = {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      PORT: String(this.#port),
      LOCAL_FUNCTION_KEY: functionKey,
      LOCAL_MASTER_KEY: masterKey,
      AzureWebJobsStorage: this.azurite.connectionString,
      MailStorage: this.azurite.connectionString,
      KEY_VAULT_URI: this.keyVault.uri,
      AZURE_AUTHORITY_HOST: this.entra.authorityHost,
      AZURE_TENANT_ID: identity.tenantId,
      AZURE_CLIENT_ID: identity.clientId,
      AZURE_CLIENT_SECRET: identity.secret,
      GRAPH_ENDPOINT: this.#graph?.endpoint,
      NODE_EXTRA_CA_CERTS: this.#caFile,
      IMPORT_SCHEDULE: never,
      RETENTION_SCHEDULE: never,
      SWEEP_SCHEDULE: never,
      NODE_OPTIONS: `--import ${shiftedClock}`,
      CLOCK_SHIFT_MS: String(this.#shiftMs),
      FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: String(160 * 1024 * 1024),
      AzureFunctionsJobHost__extensions__queues__maxPollingInterval: '00:00:00.200',
      AzureFunctionsJobHost__singleton__listenerLockRecoveryPollingInterval: '00:00:01',
      ...(typeof this.#options.env === 'function' ? this.#options.env(this.azurite) : this.#options.env),
    };
    return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  }

  /** SIGKILL: whatever the functions were doing stops at once. Storage lives on. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child && child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child && child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await ended;
      clearTimeout(timer);
    }
    await this.azurite.stop();
    await this.#graph?.stop();
    await this.keyVault.stop();
    await this.entra.stop();
    await rm(this.directory, { recursive: true, force: true });
  }

  /** Starts Azurite again on its ports and data. */
  async restartAzurite(): Promise<void> {
    const { blobPort: blob, queuePort: queue, tablePort: table } = this.azurite;
    this.azurite = await startAzurite({ location: join(this.directory, 'azurite'), ports: { blob, queue, table } });
  }

  async call(method: string, path: string, options: CallOptions = {}): Promise<Answer> {
    const key = options.key === undefined ? (path.startsWith('/admin/') ? masterKey : functionKey) : options.key;
    const body = options.raw ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
    const response = await fetch(this.url + path, {
      method,
      headers: {
        ...(key === null ? {} : { 'x-functions-key': key }),
        ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...options.headers,
      },
      ...(body === undefined ? {} : { body, duplex: 'half' }),
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    return {
      status: response.status,
      headers: response.headers,
      bytes,
      json: isJson && bytes.length > 0 ? JSON.parse(bytes.toString()) : undefined,
    };
  }

  /** Like `call`, for answers that must have one of these statuses. */
  async expect(
    status: number | readonly number[],
    method: string,
    path: string,
    options: CallOptions = {},
  ): Promise<Answer> {
    const answer = await this.call(method, path, options);
    if (![status].flat().includes(answer.status)) {
      throw new Error(`${method} ${path} answered ${answer.status}: ${answer.bytes.toString('utf8', 0, 800)}`);
    }
    return answer;
  }

  /** Fires a timer by hand. */
  async fire(timer: 'import-schedule' | 'outbox-recovery' | 'retention' | 'sweep'): Promise<void> {
    await this.expect(202, 'POST', `/admin/functions/${timer}`, { body: {} });
  }

  /** Fires a timer by hand and waits for its end. */
  async fireToEnd(timer: 'retention' | 'sweep'): Promise<void> {
    const ended = async () => (await this.log()).split(`Executed 'Functions.${timer}'`).length;
    const before = await ended();
    await this.fire(timer);
    await until(`the end of ${timer}`, 60, async () => (await ended()) > before);
  }

  async secret(account: string, name: string, value: string): Promise<void> {
    await this.expect(200, 'PUT', `/api/accounts/${account}/secrets/${name}`, { body: { value } });
  }

  /** Imports an account and waits for the end of the run. */
  async import(account: string, seconds = 60): Promise<Answer['json']> {
    const until = Date.now() + seconds * 1000;
    const { json, status } = await this.expect([200, 202], 'POST', `/api/accounts/${account}/import`, {
      headers: { prefer: `wait=${Math.min(60, seconds)}` },
    });
    if (status === 200) return json;
    for (;;) {
      const run = await this.expect(200, 'GET', `/api/accounts/${account}/runs/${json.runId}`);
      if (run.json.status !== 'running') return run.json;
      if (Date.now() > until) throw new Error(`The run did not end in ${seconds} s: ${JSON.stringify(run.json)}`);
      await delay(100);
    }
  }

  /** Every asset of an account, page by page. */
  async assets(account: string): Promise<Answer['json'][]> {
    const items: Answer['json'][] = [];
    let token: string | undefined;
    do {
      const next: string = token === undefined ? '' : `&continue=${token}`;
      const { json } = await this.expect(200, 'GET', `/api/assets?account=${account}&top=1000${next}`);
      items.push(...json.items);
      token = json.continue;
    } while (token !== undefined);
    return items;
  }
}

/** Asks until there is an answer; fails after `seconds`. */
export async function until<T>(what: string, seconds: number, ask: () => Promise<T | undefined | false>): Promise<T> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (Date.now() > end) throw new Error(`Not within ${seconds} s: ${what}`);
    await delay(50);
  }
}
