import { rootCertificates, setDefaultCACertificates } from 'node:tls';
import { makeCertificate } from '../certificate.ts';
import { type Entra, startEntra } from '../entra/entra.ts';
import { type Graph, type GraphOptions, startGraph } from './graph.ts';

export const tenantId = '11111111-1111-4111-8111-111111111111';
export const user = 'corpus@example.com';
export const colleague = 'Second@example.com';
export const immutable = { prefer: 'IdType="ImmutableId"' };

export interface CallOptions {
  readonly body?: unknown;
  /** Sent as base64 with the type text/plain, unless `raw` says otherwise. */
  readonly mime?: Buffer | string;
  readonly raw?: { readonly type: string; readonly bytes: Buffer | string };
  readonly headers?: Readonly<Record<string, string>>;
  /** Null: none. */
  readonly token?: string | null;
  readonly signal?: AbortSignal;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into answers of any shape.
  readonly json: any;
}

interface TokenOptions {
  readonly resource?: string;
  readonly clientId?: string;
}

async function tokenOf(entra: Entra, roles: readonly string[], options: TokenOptions = {}): Promise<string> {
  const clientId = options.clientId ?? '22222222-2222-4222-8222-222222222222';
  const { token } = await entra.issue({ tenantId, clientId, roles }, options.resource ?? 'https://graph.microsoft.com');
  return token;
}

/** The stand-in with two mailboxes, and a plain client of it. */
export class Stage {
  readonly entra: Entra;
  readonly graph: Graph;
  readonly token: string;

  private constructor(entra: Entra, graph: Graph, token: string) {
    this.entra = entra;
    this.graph = graph;
    this.token = token;
  }

  static async start(options: Partial<GraphOptions> = {}): Promise<Stage> {
    const certificate = await makeCertificate();
    setDefaultCACertificates([...rootCertificates, certificate.ca]);
    const entra = await startEntra({ certificate, apps: [] });
    const graph = await startGraph({
      certificate,
      entra,
      mailboxes: [{ userPrincipalName: user, displayName: 'Corpus' }, { userPrincipalName: colleague }],
      ...options,
    });
    return new Stage(entra, graph, await tokenOf(entra, ['Mail.ReadWrite', 'Mail.Send']));
  }

  async stop(): Promise<void> {
    await this.graph.stop();
    await this.entra.stop();
  }

  async tokenOf(roles: readonly string[], options: TokenOptions = {}): Promise<string> {
    return await tokenOf(this.entra, roles, options);
  }

  get mailbox() {
    return this.graph.mailbox(user);
  }

  /** `path` below `/v1.0/users/{user}`, below `/v1.0` where it begins with a slash, or a whole address. */
  async call(method: string, path: string, options: CallOptions = {}): Promise<Answer> {
    const url = path.startsWith('https:')
      ? path
      : `${this.graph.endpoint}/v1.0${path.startsWith('/') ? path : `/users/${user}/${path}`}`;
    const raw =
      options.raw ?? (options.mime === undefined ? undefined : { type: 'text/plain', bytes: encode(options.mime) });
    const body = raw?.bytes ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
    const token = options.token === undefined ? this.token : options.token;
    const response = await fetch(url, {
      method,
      headers: {
        'accept-language': 'en-US',
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(raw
          ? { 'content-type': raw.type }
          : options.body === undefined
            ? {}
            : { 'content-type': 'application/json' }),
        ...options.headers,
      },
      ...(body === undefined ? {} : { body }),
      ...(options.signal ? { signal: options.signal } : {}),
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

  get(path: string, headers: Readonly<Record<string, string>> = immutable): Promise<Answer> {
    return this.call('GET', path, { headers });
  }
}

function encode(mime: Buffer | string): string {
  return Buffer.from(mime).toString('base64');
}

/** A small mail. */
export function mail(subject: string, extra: readonly string[] = [], body = 'Hello\r\n'): Buffer {
  return Buffer.from(
    [
      'From: Alice <alice@example.org>',
      `To: ${user}`,
      `Subject: ${subject}`,
      `Message-ID: <${subject.replace(/\W/g, '')}@example.org>`,
      'Date: Sun, 22 Nov 2026 10:00:00 +0000',
      ...extra,
      '',
      body,
    ].join('\r\n'),
  );
}

export const draft = (subject: string, more: Readonly<Record<string, unknown>> = {}) => ({
  subject,
  body: { contentType: 'text', content: 'Hello' },
  toRecipients: [{ emailAddress: { address: 'bob@example.net' } }],
  ...more,
});
