import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type Azurite, startAzurite } from '../../local/azurite.ts';
import { bundled, compiledOnce } from '../../local/bundled.ts';
import { localCertificate, type StoredCertificate } from '../../local/certificate.ts';
import type { RegisteredApp } from '../../local/entra/app.ts';
import { type Entra, startEntra } from '../../local/entra/entra.ts';
import { type ManagedIdentityEndpoint, startManagedIdentity } from '../../local/entra/managed-identity.ts';
import { type Graph, type MailboxOptions, startGraph } from '../../local/graph/graph.ts';
import { type KeyVault, startKeyVault } from '../../local/key-vault/key-vault.ts';
import { freePort } from '../../local/ports.ts';
import { loopback } from './on-this-machine.ts';
import { type Exchange, OpenApiCheck } from './openapi-check.ts';
import { SecretWatch } from './secret-watch.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const host = fileURLToPath(new URL('../../local/host/main.ts', import.meta.url));
const shiftedClock = pathToFileURL(fileURLToPath(new URL('./shifted-clock.mjs', import.meta.url))).href;

export const identity = {
  tenantId: '11111111-1111-4111-8111-111111111111',
  clientId: '22222222-2222-4222-8222-222222222222',
  secret: 'test-client-secret',
};
/** Azure gives these to the app: one of its own, and one that only opens the storage. */
const managedApp = { tenantId: identity.tenantId, clientId: '33333333-3333-4333-8333-333333333333' };
const managedStorage = { tenantId: identity.tenantId, clientId: '44444444-4444-4444-8444-444444444444' };
const functionKey = 'test-function-key';
const masterKey = 'test-master-key';
/** Keys that open one function each. */
export const singleFunctionKeys = {
  'account-put': 'test-key-of-account-put',
  'account-messages-send': 'test-key-of-account-messages-send',
  'account-patch': 'test-key-of-account-patch',
  'account-verify': 'test-key-of-account-verify',
  'accounts-list': 'test-key-of-accounts-list',
} as const;

/** Never by itself: the tests fire the timers. */
const never = '0 0 0 29 2 *';

let described: OpenApiCheck | undefined;

/** Throws where openapi.json says otherwise: what every call and answer of the tests is held against. */
export function checkDescribed(exchange: Exchange): void {
  // Read at the first call.
  described ??= new OpenApiCheck();
  described.check(exchange);
}

export type Environment = Readonly<Record<string, string | undefined>>;

export interface MailroomOptions {
  /** Settings on top of the test's own; undefined takes one away. A function is asked at every start. */
  readonly env?: Environment | ((azurite: Azurite) => Environment);
  /** Storage on disk, so that Azurite can be stopped and started again. */
  readonly durable?: boolean;
  /** Another Azurite: see `AzuriteOptions`. */
  readonly azuriteProgram?: string;
  /** App registrations beside the test's own. */
  readonly apps?: readonly RegisteredApp[];
  /** Microsoft Graph beside it, with these mailboxes. */
  readonly graph?: readonly MailboxOptions[];
  /** The app has a public URL, at which Graph calls it. */
  readonly reachable?: boolean;
  /** Storage over https, the host's and the mail's, opened by this identity; no connection string is given. */
  readonly storageBy?: 'managedIdentity' | 'clientSecret';
}

export interface BesideOptions {
  /** Its clock runs so far ahead of the machine's. */
  readonly shiftMs?: number;
  /** Settings on top of those of the first process. */
  readonly env?: Environment;
}

/** A second functions process. */
export interface Beside {
  readonly url: string;
  readonly pid: number;
  /** From now on its clock runs so far ahead of the machine's; it must not go back. */
  setClock(shiftMs: number): Promise<void>;
  kill(): Promise<void>;
}

export interface CallOptions {
  /** Another process than the first is asked. */
  readonly url?: string;
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
  /** Every secret of the test: whatever the service writes is searched for them. */
  readonly watch = new SecretWatch();
  readonly #managed: ManagedIdentityEndpoint | undefined;
  azurite: Azurite;
  readonly #options: MailroomOptions;
  readonly #certificate: StoredCertificate;
  #child: ChildProcess | undefined;
  readonly #others: ChildProcess[] = [];
  #port = 0;
  #shiftMs = 0;

  private constructor(
    parts: {
      directory: string;
      azurite: Azurite;
      entra: Entra;
      keyVault: KeyVault;
      graph: Graph | undefined;
      managed: ManagedIdentityEndpoint | undefined;
      certificate: StoredCertificate;
    },
    options: MailroomOptions,
  ) {
    this.directory = parts.directory;
    this.azurite = parts.azurite;
    this.entra = parts.entra;
    this.keyVault = parts.keyVault;
    this.#graph = parts.graph;
    this.#managed = parts.managed;
    this.#certificate = parts.certificate;
    this.#options = options;
    this.watch.add(identity.secret);
  }

  static async start(options: MailroomOptions = {}): Promise<Mailroom> {
    const directory = await mkdtemp(join(tmpdir(), 'mailroom-test-'));
    const certificate = await localCertificate(join(directory, 'certificate'));
    const azurite = await startAzurite({
      ...(options.durable ? { location: join(directory, 'azurite') } : {}),
      https: options.storageBy && certificate,
      program: options.azuriteProgram,
    });
    const own = { ...identity, roles: ['Mail.ReadWrite', 'Mail.Send'] };
    const entra = await startEntra({ certificate, apps: [own, ...(options.apps ?? [])] });
    const keyVault = await startKeyVault({ certificate, authority: entra, tenantId: identity.tenantId });
    const graph = options.graph && (await startGraph({ certificate, entra, mailboxes: options.graph }));
    const identities = [managedApp, managedStorage];
    const managed =
      options.storageBy === 'managedIdentity' ? await startManagedIdentity({ entra, identities }) : undefined;
    const parts = { directory, azurite, entra, keyVault, graph, managed, certificate };
    const mailroom = new Mailroom(parts, options);
    if (options.reachable) mailroom.#port = await freePort();
    await mailroom.run();
    return mailroom;
  }

  get graph(): Graph {
    if (!this.#graph) throw new Error('Graph was not asked for');
    return this.#graph;
  }

  /** Of the authority that signed the certificate of everything here that speaks https; PEM. */
  get ca(): string {
    return this.#certificate.ca;
  }

  /** Of everything here that speaks https; trusted by the functions process. */
  get certificate(): StoredCertificate {
    return this.#certificate;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** For a request that `call` cannot make. */
  get keyHeader(): Readonly<Record<string, string>> {
    return { 'x-functions-key': functionKey };
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** What the functions process has written so far. */
  async log(name = 'functions.log'): Promise<string> {
    return await readFile(join(this.directory, name), 'utf8').catch(() => '');
  }

  /** Starts the functions process; its clock runs `shiftMs` ahead of the machine's. */
  async run(options: { readonly shiftMs?: number } = {}): Promise<void> {
    this.#shiftMs = options.shiftMs ?? this.#shiftMs;
    const { port } = await this.#fork(this.#port, 'functions.log', (started) => {
      this.#child = started;
    });
    this.#port = port;
  }

  /**
   * From now on the clock of the functions process runs `shiftMs` ahead of the machine's: for a test that only lets time
   * pass, in a tenth of the time of a new process. A clock that goes back takes a new one, since in a process it never
   * does. One that was killed is started again.
   */
  async setClock(shiftMs: number): Promise<void> {
    const child = this.#child;
    if (!child?.connected || shiftMs < this.#shiftMs) {
      await this.kill();
      return await this.run({ shiftMs });
    }
    await tellTime(child, shiftMs);
    this.#shiftMs = shiftMs;
  }

  /** Another functions process on the same storage, as Azure has several of them. Its log is `log('beside.log')`. */
  async beside(options: BesideOptions = {}): Promise<Beside> {
    const { child, port } = await this.#fork(0, 'beside.log', (started) => this.#others.push(started), options);
    const setClock = (shiftMs: number) => tellTime(child, shiftMs);
    return { url: `http://127.0.0.1:${port}`, pid: child.pid ?? 0, setClock, kill: () => killed(child) };
  }

  async #fork(
    at: number,
    log: string,
    begun: (child: ChildProcess) => void,
    { shiftMs, env }: BesideOptions = {},
  ): Promise<{ child: ChildProcess; port: number }> {
    const child = fork(await bundled(host), ['--app', root], {
      cwd: root,
      env: {
        ...this.environment(),
        PORT: String(at),
        ...(shiftMs === undefined ? {} : { CLOCK_SHIFT_MS: String(shiftMs) }),
        ...env,
      },
      execArgv: [],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    begun(child);
    const output = createWriteStream(join(this.directory, log), { flags: 'a' });
    child.stdout?.pipe(output, { end: false });
    child.stderr?.pipe(output, { end: false });
    const ready = new Promise<number>((resolve) => {
      child.on('message', (message: { type?: string; port?: number }) => {
        if (message.type === 'ready') resolve(message.port ?? 0);
      });
    });
    const ended = once(child, 'exit').then(() => undefined);
    const port = await Promise.race([ready, ended]);
    if (port === undefined) throw new Error(`The functions process ended at start:\n${await this.log(log)}`);
    return { child, port };
  }

  /** What the functions process is started with. */
  environment(): NodeJS.ProcessEnv {
    const given: Record<string, string | undefined> = {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      ...compiledOnce(),
      LOCAL_FUNCTION_KEY: functionKey,
      LOCAL_MASTER_KEY: masterKey,
      LOCAL_SINGLE_FUNCTION_KEYS: JSON.stringify(singleFunctionKeys),
      AzureWebJobsStorage: this.azurite.connectionString,
      MailStorage: this.azurite.connectionString,
      KEY_VAULT_URI: this.keyVault.uri,
      AZURE_AUTHORITY_HOST: this.entra.authorityHost,
      AZURE_TENANT_ID: identity.tenantId,
      AZURE_CLIENT_ID: identity.clientId,
      AZURE_CLIENT_SECRET: identity.secret,
      GRAPH_ENDPOINT: this.#graph?.endpoint,
      PUBLIC_URL: this.#options.reachable ? this.url : undefined,
      NODE_EXTRA_CA_CERTS: this.#certificate.caFile,
      MAIL_ALLOWED_NETWORKS: loopback.join(),
      MAIL_OAUTH2_HOSTS: '127.0.0.1,localhost',
      IMPORT_SCHEDULE: never,
      RETENTION_SCHEDULE: never,
      SWEEP_SCHEDULE: never,
      NODE_OPTIONS: `--import ${shiftedClock} --max-http-header-size=65536`,
      CLOCK_SHIFT_MS: String(this.#shiftMs),
      FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: String(160 * 1024 * 1024),
      AzureFunctionsJobHost__extensions__queues__maxPollingInterval: '00:00:01.000',
      AzureFunctionsJobHost__singleton__listenerLockRecoveryPollingInterval: '00:00:01',
      ...this.#identitySettings(),
      ...(typeof this.#options.env === 'function' ? this.#options.env(this.azurite) : this.#options.env),
    };
    return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  }

  /** What Azure is given in place of connection strings (reference of app settings: identity-based connections). */
  #identitySettings(): Environment {
    if (!this.#options.storageBy) return {};
    const { blob, queue, table } = this.azurite.uris;
    const opened = this.#managed && { credential: 'managedidentity', clientId: managedStorage.clientId };
    const sections = ['AzureWebJobsStorage', 'MailStorage'].map((name) => ({
      [name]: undefined,
      [`${name}__blobServiceUri`]: blob,
      [`${name}__queueServiceUri`]: queue,
      [`${name}__tableServiceUri`]: table,
      [`${name}__credential`]: opened?.credential,
      [`${name}__clientId`]: opened?.clientId,
    }));
    const own = { AZURE_TENANT_ID: undefined, AZURE_CLIENT_ID: managedApp.clientId, AZURE_CLIENT_SECRET: undefined };
    return Object.assign({}, ...sections, this.#managed && { ...own, ...this.#managed.env });
  }

  /** SIGKILL: whatever the functions were doing stops at once. Storage lives on. */
  async kill(): Promise<void> {
    if (this.#child) await killed(this.#child);
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
    for (const other of this.#others) await killed(other);
    try {
      for (const line of (await this.log()).split('\n')) this.watch.look(`log: ${line.slice(0, 60)}`, line);
      // A test may have stopped Azurite for good.
      if (this.azurite.running) await this.watch.searchStorage(this.azurite.connectionString);
      this.watch.verdict();
    } finally {
      await this.azurite.stop();
      await this.#graph?.stop();
      await this.keyVault.stop();
      await this.#managed?.stop();
      await this.entra.stop();
      await rm(this.directory, { recursive: true, force: true });
    }
  }

  /** Starts Azurite again on its ports and data. */
  async restartAzurite(): Promise<void> {
    const { blobPort: blob, queuePort: queue, tablePort: table } = this.azurite;
    this.azurite = await startAzurite({
      location: join(this.directory, 'azurite'),
      ports: { blob, queue, table },
      https: this.#options.storageBy && this.#certificate,
      program: this.#options.azuriteProgram,
    });
  }

  async call(method: string, path: string, options: CallOptions = {}): Promise<Answer> {
    const key = options.key === undefined ? (path.startsWith('/admin/') ? masterKey : functionKey) : options.key;
    const body = options.raw ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
    const response = await fetch((options.url ?? this.url) + path, {
      method,
      headers: {
        ...(key === null ? {} : { 'x-functions-key': key }),
        ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...options.headers,
      },
      ...(body === undefined ? {} : { body, duplex: 'half' }),
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    this.watch.look(`answer of ${method} ${path}`, bytes);
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    const { status, headers } = response;
    const answer = {
      status,
      headers,
      bytes,
      json: isJson && bytes.length > 0 ? JSON.parse(bytes.toString()) : undefined,
    };
    if (path.startsWith('/api'))
      checkDescribed({ method, path, ...answer, body: options.body, contentType: options.headers?.['content-type'] });
    return answer;
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
  async fire(timer: 'import-schedule' | 'outbox-recovery' | 'outbox-release' | 'retention' | 'sweep'): Promise<void> {
    await this.expect(202, 'POST', `/admin/functions/${timer}`, { body: {} });
  }

  /** Fires a timer by hand and waits for its end. */
  async fireToEnd(timer: 'outbox-recovery' | 'retention' | 'sweep'): Promise<void> {
    const ended = async () => (await this.log()).split(`Executed 'Functions.${timer}'`).length;
    const before = await ended();
    await this.fire(timer);
    await until(`the end of ${timer}`, 60, async () => (await ended()) > before);
  }

  /** Writes a secret. */
  async secret(account: string, name: string, value: string): Promise<void> {
    this.watch.add(value);
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
  async assets(account: string, options: { readonly url?: string } = {}): Promise<Answer['json'][]> {
    const items: Answer['json'][] = [];
    let token: string | undefined;
    do {
      const next: string = token === undefined ? '' : `&continue=${token}`;
      const { json } = await this.expect(200, 'GET', `/api/assets?account=${account}&top=1000${next}`, options);
      items.push(...json.items);
      token = json.continue;
    } while (token !== undefined);
    return items;
  }
}

/** Sets the clock of a functions process, and returns when it has taken the time. */
async function tellTime(child: ChildProcess, shiftMs: number): Promise<void> {
  const heard = new AbortController();
  const { signal } = heard;
  const listen = (message: { type?: string }) => {
    if (message.type === 'clock') heard.abort();
  };
  child.on('message', listen);
  try {
    child.send({ type: 'clock', shiftMs });
    await once(child, 'exit', { signal }).catch(() => undefined);
  } finally {
    child.off('message', listen);
  }
  if (!signal.aborted) throw new Error('The functions process ended before it took the new time.');
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** Between two questions, in ms: what comes soon is seen soon, and a long wait costs little of what it waits for. */
const firstPauseMs = 20;
const longestPauseMs = 250;

/**
 * By then another process goes on where one was killed, in seconds: what it held may be leased for a minute more, and the
 * timer that looks after it comes once a minute.
 */
export const takenOverSeconds = 150;

/** Asks until there is an answer; fails after `seconds`. */
export async function until<T>(what: string, seconds: number, ask: () => Promise<T | undefined | false>): Promise<T> {
  const end = Date.now() + seconds * 1000;
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 1.4, longestPauseMs)) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (Date.now() > end) throw new Error(`Not within ${seconds} s: ${what}`);
    await delay(pauseMs);
  }
}
