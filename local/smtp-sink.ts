import { EventEmitter, once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server';
import type { LocalCertificate } from './certificate.ts';
import { openMailFolder } from './mail-folder.ts';

export interface SinkMail {
  /** Counts from 1 in the order of arrival. */
  readonly number: number;
  /** Empty for a null reverse-path. */
  readonly from: string;
  readonly to: readonly string[];
  /** As they came after DATA, dot-stuffing undone. */
  readonly bytes: Buffer;
  /** Milliseconds since the epoch. */
  readonly receivedAt: number;
  readonly secure: boolean;
  /** The user name, where the client signed in. */
  readonly user: string | undefined;
}

export interface SmtpSinkOptions {
  /** Absent: the system picks. */
  readonly port?: number;
  /** STARTTLS is offered with it, and not at all without. */
  readonly certificate?: LocalCertificate;
  /** Where each mail is also kept as an .eml file. */
  readonly directory?: string;
  /** Takes each mail before it is acknowledged. What it throws is answered with 451. */
  readonly deliver?: (mail: SinkMail) => void | Promise<void>;
}

export interface SmtpSink {
  readonly port: number;
  /** What is still kept, oldest first. */
  mails(): readonly SinkMail[];
  /** The first kept or coming mail that fits. Throws when none came in time. */
  waitFor(fits: (mail: SinkMail) => boolean, options?: WaitOptions): Promise<SinkMail>;
  /** Forgets what is kept. */
  clear(): void;
  stop(): Promise<void>;
}

export interface WaitOptions {
  /** Milliseconds; default: 10,000. */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
}

/** Above the service's largest mail: 150 MB of attachments in base64. */
const maxMailBytes = 256 * 1024 * 1024;
/** Held in memory; the oldest goes first. */
const maxKeptMails = 10_000;
const maxKeptBytes = 512 * 1024 * 1024;
/** Clients of one laptop. */
const maxClients = 200;
/** Connections that are open at the end are cut, they have nothing to lose. */
const closeMs = 100;

/** An SMTP server on 127.0.0.1 that accepts every mail, and any user and password, and sends nothing on. */
export async function startSmtpSink(options: SmtpSinkOptions = {}): Promise<SmtpSink> {
  const folder = options.directory === undefined ? undefined : await openMailFolder(options.directory);
  const arrivals = new EventEmitter<{ mail: [SinkMail] }>();
  arrivals.setMaxListeners(0);
  let kept: SinkMail[] = [];
  let keptBytes = 0;
  let count = 0;

  async function receive(stream: SMTPServerDataStream, session: SMTPServerSession): Promise<string> {
    const bytes = await read(stream);
    const { mailFrom, rcptTo } = session.envelope;
    const mail: SinkMail = {
      number: ++count,
      from: mailFrom ? mailFrom.address : '',
      to: rcptTo.map((recipient) => recipient.address),
      bytes,
      receivedAt: Date.now(),
      secure: session.secure,
      user: session.user,
    };
    await folder?.add(bytes);
    await options.deliver?.(mail);
    kept.push(mail);
    keptBytes += bytes.length;
    while (kept.length > maxKeptMails || (keptBytes > maxKeptBytes && kept.length > 1)) {
      keptBytes -= kept.shift()?.bytes.length ?? 0;
    }
    arrivals.emit('mail', mail);
    return `Accepted as ${mail.number}`;
  }

  const { certificate } = options;
  const server = new SMTPServer({
    name: 'localhost',
    banner: 'Mailroom SMTP sink',
    ...(certificate ? { key: certificate.key, cert: certificate.cert } : {}),
    disabledCommands: certificate ? [] : ['STARTTLS'],
    authOptional: true,
    allowInsecureAuth: true,
    disableReverseLookup: true,
    size: maxMailBytes,
    maxClients,
    closeTimeout: closeMs,
    onAuth: (auth, _session, callback) => callback(null, { user: auth.username ?? '' }),
    onData(stream, session, callback) {
      receive(stream, session).then(
        (message) => callback(null, message),
        (error: unknown) => callback(error instanceof Refusal ? error : new Refusal(451, 'Could not keep the mail')),
      );
    },
  });
  // What goes wrong on one connection (resets, refused handshakes) is the client's to notice.
  server.on('error', () => undefined);
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server.server, 'listening');

  return {
    port: (server.server.address() as AddressInfo).port,
    mails: () => [...kept],
    async waitFor(fits, { timeout = 10_000, signal } = {}) {
      const known = kept.find(fits);
      if (known) return known;
      const deadline = AbortSignal.timeout(timeout);
      const until = signal ? AbortSignal.any([deadline, signal]) : deadline;
      return new Promise<SinkMail>((resolve, reject) => {
        const onMail = (mail: SinkMail) => {
          if (!fits(mail)) return;
          done();
          resolve(mail);
        };
        const onAbort = () => {
          done();
          reject(signal?.aborted ? signal.reason : new Error(`no such mail came within ${timeout} ms`));
        };
        const done = () => {
          arrivals.off('mail', onMail);
          until.removeEventListener('abort', onAbort);
        };
        arrivals.on('mail', onMail);
        until.addEventListener('abort', onAbort);
        if (until.aborted) onAbort();
      });
    },
    clear() {
      kept = [];
      keptBytes = 0;
    },
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

class Refusal extends Error {
  override readonly name = 'Refusal';
  /** The SMTP reply code. */
  readonly responseCode: number;

  constructor(responseCode: number, message: string) {
    super(message);
    this.responseCode = responseCode;
  }
}

async function read(stream: SMTPServerDataStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) {
    if (Buffer.isBuffer(chunk) && !stream.sizeExceeded) chunks.push(chunk);
  }
  if (stream.sizeExceeded) throw new Refusal(552, 'The mail is too large');
  return Buffer.concat(chunks);
}
