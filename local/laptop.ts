import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Azurite, startAzurite } from './azurite.ts';
import { localCertificate, type StoredCertificate } from './certificate.ts';
import { startEntra, type TokenAuthority } from './entra/entra.ts';
import { functionsProcess } from './functions-process.ts';
import { type Graph, startGraph } from './graph/graph.ts';
import { type ImapMailbox, startImapMailbox } from './imap-mailbox/imap-mailbox.ts';
import { startKeyVault } from './key-vault/key-vault.ts';
import { mailDelivery } from './laptop-mail.ts';
import { graphUser, mailboxUser } from './laptop-mailboxes.ts';
import {
  type AppIdentity,
  type Environment,
  functionsEnvironment,
  isGiven,
  type NeededParts,
  neededParts,
  registeredIdentity,
  type StartedParts,
  whyNoGraph,
} from './laptop-settings.ts';
import { type LocalKeys, localKeys } from './local-keys.ts';
import { freePort, preferredPort } from './ports.ts';
import { graphReadyMailbox, imapReadyMailbox } from './ready-mailboxes.ts';
import { type SmtpSink, startSmtpSink } from './smtp-sink.ts';

export interface LaptopOptions {
  /** Settings given here are taken, and the part that would offer them is not started. */
  readonly env: Environment;
  /** Folder of the app, as a package unpacked elsewhere. Absent: this project. */
  readonly appDirectory?: string | undefined;
  readonly dataDirectory: string;
  /** Of the functions. 0: the system picks. */
  readonly port: number;
  /** Of the SMTP sink and the IMAP mailbox: taken where free; 0: the system picks. */
  readonly mailPorts: { readonly smtp: number; readonly imap: number };
  /** Output of the functions process: this process's own, or an open file. */
  readonly output: 'inherit' | number;
  /** Called with what was started and what happened to it, in plain words. */
  readonly say: (line: string) => void;
  /** Called when a part that cannot be started again ended by itself. */
  readonly onLoss: (reason: string) => void;
  /** Ends a start that is under way. */
  readonly signal: AbortSignal;
}

export interface Laptop {
  readonly url: string;
  readonly keys: LocalKeys;
  readonly sink: SmtpSink;
  readonly mailbox: ImapMailbox;
  /** Undefined where a setting that was given takes its place. */
  readonly graph: Graph | undefined;
  /** What an account needs to sign in to Graph. */
  readonly app: AppIdentity;
}

/** Application permissions that Mailroom needs in Graph. */
const graphRoles = ['Mail.ReadWrite', 'Mail.Send'] as const;

interface IdentityAndSecrets {
  readonly authorityHost?: string;
  readonly keyVaultUri?: string;
  readonly graph?: Graph;
}

/** Everything that one laptop runs, in the order of its start. */
export class LaptopParts {
  readonly #options: LaptopOptions;
  readonly #stops: (() => Promise<void>)[] = [];
  #stopping = false;

  constructor(options: LaptopOptions) {
    this.#options = options;
  }

  /** Starts what is needed and then the functions. When it throws, `stop` ends what had been started. */
  async start(): Promise<Laptop> {
    const { env, dataDirectory, signal, say } = this.#options;
    const needed = neededParts(env);
    await mkdir(dataDirectory, { recursive: true, mode: 0o700 });
    say(`Data directory: ${dataDirectory}`);
    const made = await localKeys(dataDirectory);
    const keys = {
      ...made,
      functionKey: env.LOCAL_FUNCTION_KEY || made.functionKey,
      masterKey: env.LOCAL_MASTER_KEY || made.masterKey,
    };
    const certificate = await localCertificate(join(dataDirectory, 'certificate'));

    const app = registeredIdentity(env, keys.clientSecret);

    let started: StartedParts = keys;
    let graph: Graph | undefined;
    const port = this.#options.port || (await freePort());
    if (needed.azurite) started = { ...started, connectionString: (await this.#azurite()).connectionString };
    signal.throwIfAborted();
    if (needed.entra || needed.keyVault) {
      const { authorityHost, keyVaultUri, graph: startedGraph } = await this.#identity(needed, certificate, app);
      graph = startedGraph;
      const caFile = await trustFile(dataDirectory, certificate, env.NODE_EXTRA_CA_CERTS);
      // Graph itself could not call a laptop; its stand-in can.
      const publicUrl = graph && `http://127.0.0.1:${port}`;
      started = { ...started, authorityHost, keyVaultUri, graphEndpoint: graph?.endpoint, publicUrl, caFile };
    }
    const noGraph = whyNoGraph(env);
    if (noGraph !== undefined) say(noGraph);
    signal.throwIfAborted();
    const { sink, mailbox } = await this.#mail(certificate, keys, graph);
    say(`Function key: ${isGiven(env, 'LOCAL_FUNCTION_KEY') ? 'as given in LOCAL_FUNCTION_KEY' : keys.functionKey}`);
    say(`Master key: ${isGiven(env, 'LOCAL_MASTER_KEY') ? 'as given in LOCAL_MASTER_KEY' : keys.masterKey}`);
    signal.throwIfAborted();
    const imap = { smtpPort: sink.port, imapPort: mailbox.port, password: keys.mailboxPassword };
    // A secret that was given is known to whoever gave it, and is repeated nowhere.
    const offersGraph = graph !== undefined && !isGiven(env, 'AZURE_CLIENT_SECRET');
    const ready = [imapReadyMailbox(imap), ...(offersGraph ? [graphReadyMailbox(app)] : [])];
    const environment = { ...functionsEnvironment(env, started), LOCAL_READY_MAILBOXES: JSON.stringify(ready) };
    const url = await this.#functions(environment, port);
    return { url, keys, sink, mailbox, graph, app };
  }

  /** Ends everything in the opposite order of its start: the functions before the storage they write to. */
  async stop(): Promise<void> {
    this.#stopping = true;
    for (let stop = this.#stops.pop(); stop; stop = this.#stops.pop()) await stop();
  }

  async #azurite(): Promise<Azurite> {
    const azurite = await startAzurite({ location: join(this.#options.dataDirectory, 'azurite') });
    this.#stops.push(() => azurite.stop());
    azurite.ended.then(() => {
      if (!this.#stopping) this.#options.onLoss('Azurite ended by itself');
    });
    const { blobPort, queuePort, tablePort, pid } = azurite;
    this.#options.say(`Azurite: pid ${pid}, 127.0.0.1, blobs ${blobPort}, queues ${queuePort}, tables ${tablePort}`);
    return azurite;
  }

  async #identity(needed: NeededParts, certificate: StoredCertificate, app: AppIdentity): Promise<IdentityAndSecrets> {
    const { env, dataDirectory, say } = this.#options;
    let authority: TokenAuthority = { authorityHost: env.AZURE_AUTHORITY_HOST ?? '' };
    let found: IdentityAndSecrets = {};
    if (needed.entra) {
      const entra = await startEntra({ certificate, apps: [{ ...app, roles: graphRoles }] });
      this.#stops.push(() => entra.stop());
      authority = entra;
      found = { ...found, authorityHost: entra.authorityHost };
      say(`Entra ID stand-in: ${entra.authorityHost}`);
      const secret = app.secret === env.AZURE_CLIENT_SECRET ? 'as given in AZURE_CLIENT_SECRET' : app.secret;
      say(
        `Its app, with ${graphRoles.join(' and ')}: tenant ${app.tenantId}, client ${app.clientId}, secret ${secret}`,
      );
    }
    if (needed.keyVault) {
      const file = join(dataDirectory, 'key-vault.json');
      const vault = await startKeyVault({ certificate, authority, tenantId: app.tenantId, file });
      this.#stops.push(() => vault.stop());
      found = { ...found, keyVaultUri: vault.uri };
      say(`Key Vault stand-in: ${vault.uri}`);
    }
    if (needed.graph) {
      const mailboxes = [{ userPrincipalName: graphUser }];
      const graph = await startGraph({ certificate, entra: authority, mailboxes });
      this.#stops.push(() => graph.stop());
      found = { ...found, graph };
      say(`Graph stand-in: ${graph.endpoint}, mailbox ${graphUser} (in memory only)`);
    }
    return found;
  }

  async #mail(
    certificate: StoredCertificate,
    keys: LocalKeys,
    graph: Graph | undefined,
  ): Promise<{ sink: SmtpSink; mailbox: ImapMailbox }> {
    const { dataDirectory, mailPorts, say } = this.#options;
    const mailbox = await startImapMailbox({
      accounts: [{ user: mailboxUser, password: keys.mailboxPassword }],
      port: await preferredPort(mailPorts.imap),
      certificate,
    });
    this.#stops.push(() => mailbox.stop());
    const directory = join(dataDirectory, 'mail');
    const sink = await startSmtpSink({
      port: await preferredPort(mailPorts.smtp),
      certificate,
      directory,
      deliver: mailDelivery(mailbox, graph?.mailbox(graphUser)),
    });
    this.#stops.push(() => sink.stop());
    say(`SMTP sink: 127.0.0.1:${sink.port}, STARTTLS offered, any user and password; mail is kept in ${directory}`);
    say(
      `IMAP mailbox: 127.0.0.1:${mailbox.port}, STARTTLS offered, user ${mailboxUser}, password ${keys.mailboxPassword}`,
    );
    say(`Mail to ${mailboxUser}@<any domain> that reaches the SMTP sink arrives in the IMAP mailbox (in memory only).`);
    if (graph) say(`Mail to ${graphUser} that reaches the SMTP sink arrives in the Graph mailbox instead.`);
    return { sink, mailbox };
  }

  async #functions(env: Record<string, string | undefined>, port: number): Promise<string> {
    const { appDirectory, output, say, signal } = this.#options;
    const functions = functionsProcess({
      env,
      appDirectory,
      port,
      output,
      onReady: (pid, readyPort) => {
        say(`Functions: pid ${pid}`);
        say(`Mailroom ready on http://127.0.0.1:${readyPort}`);
      },
      onCrash: (how, ms) => {
        if (!this.#stopping) say(`The functions process ended (${how}); starting it again in ${ms} ms`);
      },
    });
    this.#stops.push(() => functions.stop());
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
    try {
      const ready = await Promise.race([functions.start(), aborted]);
      return `http://127.0.0.1:${ready.port}`;
    } catch (error) {
      signal.throwIfAborted();
      throw new Error(`The functions process ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

/** Node takes one file: ours, together with the one that was given. */
async function trustFile(directory: string, certificate: StoredCertificate, given?: string): Promise<string> {
  if (!given) return certificate.caFile;
  const file = join(directory, 'trusted.pem');
  await writeFile(file, `${await readFile(given, 'utf8')}\n${certificate.ca}`);
  return file;
}
