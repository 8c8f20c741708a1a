import type { LocalCertificate } from '../certificate.ts';
import type { TokenAuthority } from '../entra/entra.ts';
import { Concurrency } from './concurrency.ts';
import { Faults } from './faults.ts';
import { serveGraph } from './graph-endpoint.ts';
import { listen } from './listener.ts';
import { Mailbox, type MailboxOptions } from './mailbox.ts';
import { MailboxControl } from './mailbox-control.ts';
import { graphOperations } from './openapi.ts';
import { type Leak, Records, type RequestRecord, type Violation } from './records.ts';
import { type SentMail, Transport } from './submission.ts';
import { serveUploads } from './upload-endpoint.ts';
import { UploadSessions } from './upload-sessions.ts';

export type { Fault, FaultHandle, FaultKind, FaultRule, FaultTarget } from './faults.ts';
export type { MailboxOptions } from './mailbox.ts';
export type { DeliverOptions, FolderState, MailboxControl, MailState } from './mailbox-control.ts';
export type { Leak, RequestRecord, Violation } from './records.ts';
export type { SentMail } from './submission.ts';

/** The resource that tokens are for (Microsoft Graph, "National cloud deployments"). */
const audiences = {
  global: 'https://graph.microsoft.com',
  usgov: 'https://graph.microsoft.us',
  dod: 'https://dod-graph.microsoft.us',
  china: 'https://microsoftgraph.chinacloudapi.cn',
} as const;

const defaultLatencyMs = 2;

export interface GraphOptions {
  readonly certificate: LocalCertificate;
  /** Whose tokens it trusts. */
  readonly entra: TokenAuthority;
  readonly mailboxes?: readonly MailboxOptions[];
  /** Decides the audience of tokens, and whether there is permanentDelete: only in `global`, which is the default. */
  readonly cloud?: keyof typeof audiences;
  /** Absent: the system picks. */
  readonly port?: number;
  readonly uploadPort?: number;
  /** Milliseconds since the epoch. Absent: the system's clock. */
  readonly now?: () => number;
  /** Of the faults that strike by chance. */
  readonly seed?: number;
  /** Where DELETE on a message puts it; Microsoft leaves it open. Deleted Items unless told. */
  readonly deleteGoesTo?: 'deleteditems' | 'recoverableitemsdeletions';
  /** Milliseconds that an upload address lives. An hour unless told. */
  readonly uploadLifetime?: number;
  /** Milliseconds that every request takes at least, so that too many at once are noticed. 2 unless told. */
  readonly latency?: number;
  /** Told of each message that was sent. */
  readonly onSent?: (mail: SentMail) => void;
}

export interface Graph {
  /** `https://localhost:port`, without the version. */
  readonly endpoint: string;
  readonly port: number;
  /** `https://127.0.0.1:port` of the upload host: another name and another port than Graph's. */
  readonly uploadOrigin: string;
  readonly faults: Faults;
  /** What came in, oldest first, on both hosts. */
  readonly requests: readonly RequestRecord[];
  /** Must stay empty: requests, or answers of this stand-in, that the description of the service does not allow. */
  readonly violations: readonly Violation[];
  /** Tokens that came to the upload host. */
  readonly leaks: readonly Leak[];
  /** The most requests at once on one mailbox by one app. */
  readonly peakConcurrency: number;
  /** Adds a mailbox. Throws when its user is there already. */
  addMailbox(options: MailboxOptions): MailboxControl;
  /** A mailbox by user principal name, alias or object id, as its user sees it. Throws when there is none. */
  mailbox(user: string): MailboxControl;
  /** What was sent, oldest first: by one mailbox, or by all. */
  sent(user?: string): readonly SentMail[];
  /** Forgets requests, violations, leaks and sent mail, not the mailboxes, and not the faults. */
  reset(): void;
  stop(): Promise<void>;
}

/**
 * A stand-in for the mail of Microsoft Graph v1.0 on 127.0.0.1, over https. Mail and uploads are kept in memory, as
 * the buffers they came in. It follows Microsoft's documentation and the OpenAPI description beside this file; there
 * is no $batch, no $search and no subscription. Mail to one of its mailboxes is delivered there.
 */
export async function startGraph(options: GraphOptions): Promise<Graph> {
  // Compiled before the first request, which should not take longer than the others.
  graphOperations();
  const now = options.now ?? Date.now;
  const cloud = options.cloud ?? 'global';
  const faults = new Faults(options.seed ?? 1);
  const records = new Records();
  const concurrency = new Concurrency();
  const mailboxes: Mailbox[] = [];
  const find = (user: string) => {
    const wanted = user.toLowerCase();
    return mailboxes.find(
      (one) => one.userId.toLowerCase() === wanted || one.userPrincipalName.toLowerCase() === wanted,
    );
  };
  const byAddress = (address: string) => mailboxes.find((one) => one.addresses.has(address.toLowerCase()));
  const control = (mailbox: Mailbox) => new MailboxControl(mailbox, now);
  const transport = new Transport({
    now,
    deliver: (address, bytes) => {
      const mailbox = byAddress(address);
      if (mailbox?.enabled) control(mailbox).deliver(bytes());
    },
    onSent: options.onSent,
  });
  let uploads: UploadSessions | undefined;
  const theUploads = () => {
    if (!uploads) throw new Error('The upload host is not ready');
    return uploads;
  };
  const uploadHost = await listen(options.certificate, options.uploadPort ?? 0, (request, response) =>
    serveUploads(request, response, { uploads: theUploads, faults, records, now }),
  );
  const uploadOrigin = `https://127.0.0.1:${uploadHost.port}`;
  uploads = new UploadSessions({ origin: uploadOrigin, now, lifetimeMs: options.uploadLifetime });
  const service = {
    now,
    transport,
    uploads,
    deleteGoesTo: options.deleteGoesTo ?? ('deleteditems' as const),
    canPurge: cloud === 'global',
  };
  const endpoint = { service, authority: options.entra, audience: audiences[cloud], faults, records, concurrency };
  const host = await listen(options.certificate, options.port ?? 0, (request, response) =>
    serveGraph(request, response, { ...endpoint, latency: options.latency ?? defaultLatencyMs, mailbox: find }),
  ).catch(async (error: unknown) => {
    await uploadHost.stop();
    throw error;
  });

  const graph: Graph = {
    endpoint: `https://localhost:${host.port}`,
    port: host.port,
    uploadOrigin,
    faults,
    requests: records.requests,
    violations: records.violations,
    leaks: records.leaks,
    get peakConcurrency() {
      return concurrency.peak;
    },
    addMailbox(made) {
      if (find(made.userPrincipalName)) throw new Error(`There is a mailbox ${made.userPrincipalName} already`);
      const mailbox = new Mailbox(made, now);
      mailboxes.push(mailbox);
      return control(mailbox);
    },
    mailbox(user) {
      const mailbox = find(user) ?? byAddress(user);
      if (!mailbox) throw new Error(`There is no mailbox ${user}`);
      return control(mailbox);
    },
    sent: (user) => transport.mails(user),
    reset() {
      records.clear();
      transport.clear();
      concurrency.peak = 0;
    },
    async stop() {
      await Promise.all([host.stop(), uploadHost.stop()]);
    },
  };
  for (const made of options.mailboxes ?? []) graph.addMailbox(made);
  return graph;
}
