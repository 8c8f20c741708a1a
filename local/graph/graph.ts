import type { LocalCertificate } from '../certificate.ts';
import type { TokenAuthority } from '../entra/entra.ts';
import { listenByHttps } from '../listener.ts';
import { Concurrency } from './concurrency.ts';
import { Faults } from './faults.ts';
import { serveGraph } from './graph-endpoint.ts';
import { Mailbox, type MailboxOptions } from './mailbox.ts';
import { MailboxControl } from './mailbox-control.ts';
import { Notifications } from './notifications.ts';
import { graphOperations } from './openapi.ts';
import { type ExposedToken, Records, type RequestRecord, type Violation } from './records.ts';
import { type SentMail, Transport } from './submission.ts';
import { SubscriptionControl } from './subscription-control.ts';
import { Subscriptions } from './subscriptions.ts';
import { serveUploads } from './upload-endpoint.ts';
import { UploadSessions } from './upload-sessions.ts';

export type { FaultRule } from './faults.ts';
export type { MailboxOptions } from './mailbox.ts';
export type { MailboxControl } from './mailbox-control.ts';
export type { NotificationRecord } from './notifications.ts';
export type { SubscriptionControl, SubscriptionState } from './subscription-control.ts';

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
  /** Of the faults that apply by chance. */
  readonly seed?: number;
  /** Where DELETE on a message puts it; Microsoft leaves it open. Default: Deleted Items. */
  readonly deleteGoesTo?: 'deleteditems' | 'recoverableitemsdeletions';
  /** Milliseconds that an upload address lives. Default: an hour. */
  readonly uploadLifetime?: number;
  /** Milliseconds that every request takes at least, so that too many at once are noticed. Default: 2. */
  readonly latency?: number;
  /** Called with each message that was sent. */
  readonly onSent?: (mail: SentMail) => void;
  /** Milliseconds from a change to its notification; Microsoft: under a minute on average. Default: 50. */
  readonly notificationDelay?: number;
  /** Milliseconds before each next try of a notification that was not taken; default: for four hours. */
  readonly notificationPauses?: readonly number[];
}

export interface Graph {
  /** `https://localhost:port`, without the version. */
  readonly endpoint: string;
  readonly port: number;
  /** `https://127.0.0.1:port` of the upload host: another name and another port than Graph's. */
  readonly uploadOrigin: string;
  readonly faults: Faults;
  readonly subscriptions: SubscriptionControl;
  /** What came in, oldest first, on both hosts. */
  readonly requests: readonly RequestRecord[];
  /** Must stay empty: requests, or answers of this stand-in, that the description of the service does not allow. */
  readonly violations: readonly Violation[];
  /** Tokens that came to the upload host. */
  readonly exposedTokens: readonly ExposedToken[];
  /** The most requests at once on one mailbox by one app. */
  readonly peakConcurrency: number;
  /** Adds a mailbox. Throws when its user is there already. */
  addMailbox(options: MailboxOptions): MailboxControl;
  /** A mailbox by user principal name, alias or object id, as its user sees it. Throws when there is none. */
  mailbox(user: string): MailboxControl;
  /** What was sent, oldest first: by one mailbox, or by all. */
  sent(user?: string): readonly SentMail[];
  /** Forgets requests, violations, exposed tokens and sent mail, not the mailboxes, and not the faults. */
  reset(): void;
  stop(): Promise<void>;
}

/**
 * A stand-in for the mail of Microsoft Graph v1.0 on 127.0.0.1, over https. Mail and uploads are kept in memory, as
 * the buffers they came in. It follows Microsoft's documentation and the OpenAPI description beside this file; there
 * is no $search. Subscriptions are to mail, without its content. Mail to one of its mailboxes is delivered
 * there.
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
  const uploadHost = await listenByHttps(options.certificate, options.uploadPort ?? 0, (request, response) =>
    serveUploads(request, response, { uploads: theUploads, faults, records, now }),
  );
  const uploadOrigin = `https://127.0.0.1:${uploadHost.port}`;
  uploads = new UploadSessions({ origin: uploadOrigin, now, lifetimeMs: options.uploadLifetime });
  const notifications = new Notifications({
    now,
    ca: options.certificate.ca,
    delayMs: options.notificationDelay,
    pausesMs: options.notificationPauses,
  });
  const subscriptions = new Subscriptions({ now, notifications });
  const service = {
    now,
    subscriptions,
    mailbox: find,
    transport,
    uploads,
    deleteGoesTo: options.deleteGoesTo ?? ('deleteditems' as const),
    canPurge: cloud === 'global',
  };
  const endpoint = { service, authority: options.entra, audience: audiences[cloud], faults, records, concurrency };
  const host = await listenByHttps(options.certificate, options.port ?? 0, (request, response) =>
    serveGraph(request, response, { ...endpoint, latency: options.latency ?? defaultLatencyMs }),
  ).catch(async (error: unknown) => {
    await uploadHost.stop();
    throw error;
  });

  const graph: Graph = {
    endpoint: `https://localhost:${host.port}`,
    port: host.port,
    uploadOrigin,
    faults,
    subscriptions: new SubscriptionControl(subscriptions, notifications),
    requests: records.requests,
    violations: records.violations,
    exposedTokens: records.exposedTokens,
    get peakConcurrency() {
      return concurrency.peak;
    },
    addMailbox(made) {
      if (find(made.userPrincipalName)) throw new Error(`There is a mailbox ${made.userPrincipalName} already`);
      const mailbox = new Mailbox(made, now);
      mailbox.onChange = (folder, type, item) => subscriptions.changed(mailbox, folder, type, item);
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
      await Promise.all([notifications.stop(), host.stop(), uploadHost.stop()]);
    },
  };
  for (const made of options.mailboxes ?? []) graph.addMailbox(made);
  return graph;
}
