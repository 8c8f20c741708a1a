import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Entra } from '../../local/entra/entra.ts';
import { type Graph, type GraphOptions, startGraph } from '../../local/graph/graph.ts';
import {
  type GraphStoreConfig,
  type GraphTransportConfig,
  storeSchema,
  transportSchema,
} from '../../shared/accounts/model.ts';
import { createGraphTransport, type GraphTransportContext } from '../../shared/adapters/graph/send/graph-transport.ts';
import { createGraphStore, type GraphContext } from '../../shared/adapters/graph/store/graph-store.ts';
import type { CloudOverrides } from '../../shared/adapters/sign-in/entra/place.ts';
import type { MailStore } from '../../shared/adapters/store.ts';
import type { MailTransport } from '../../shared/adapters/transport.ts';
import type { SilentMoment, StoreFixture } from '../contract/store.contract.ts';
import type { TransportSubject } from '../contract/transport.contract.ts';
import { closedPort } from './imap-fixture.ts';
import {
  json,
  type ScriptedServer,
  serverCertificate,
  startScriptedServer,
  startTestEntra,
  testClient,
  testSecret,
  testTenant,
  trustTestServers,
} from './scripted-graph.ts';

export const testUser = 'corpus@example.com';

const accountFields = {
  protocol: 'graph',
  userId: testUser,
  credential: { type: 'clientSecret', tenantId: testTenant, clientId: testClient, secret: 'corpus-graph' },
};

/** A store's settings as an account would hold them. */
export function graphStoreConfig(settings: Readonly<Record<string, unknown>> = {}): GraphStoreConfig {
  const config = storeSchema.parse({ ...accountFields, ...settings });
  if (config.protocol !== 'graph') throw new Error('not Graph');
  return config;
}

export function graphTransportConfig(settings: Readonly<Record<string, unknown>> = {}): GraphTransportConfig {
  const config = transportSchema.parse({ ...accountFields, ...settings });
  if (config.protocol !== 'graph') throw new Error('not Graph');
  return config;
}

/** A Graph with the mailbox of `testUser`, and the Entra that gives tokens for it. */
export interface GraphSite {
  readonly graph: Graph;
  readonly entra: Entra;
  readonly overrides: CloudOverrides;
  store(settings?: Readonly<Record<string, unknown>>, context?: Partial<GraphContext>): MailStore;
  transport(settings?: Readonly<Record<string, unknown>>, context?: Partial<GraphTransportContext>): MailTransport;
  stop(): Promise<void>;
}

export async function startGraphSite(options: Partial<GraphOptions> = {}): Promise<GraphSite> {
  trustTestServers();
  const entra = await startTestEntra();
  const graph = await startGraph({
    certificate: serverCertificate,
    entra,
    mailboxes: [{ userPrincipalName: testUser, displayName: 'Corpus' }],
    ...options,
  });
  const overrides = { graphEndpoint: graph.endpoint, authorityHost: entra.authorityHost };
  const base = { secret: async () => testSecret, overrides };
  return {
    graph,
    entra,
    overrides,
    store: (settings, context) => createGraphStore(graphStoreConfig(settings), { ...base, ...context }),
    transport: (settings, context) =>
      createGraphTransport(graphTransportConfig(settings), { ...base, maxConnections: 5, ...context }),
    stop: async () => {
      await graph.stop();
      await entra.stop();
    },
  };
}

/** Short enough for a test, long enough for a busy machine to answer in. */
const silenceLimits = { connect: 700, answer: 700, idle: 700, signIn: 700 };

const otherFolder = 'Archive/2026';

/** A mailbox on the stand-in, for the store contract. */
export async function graphFixture(): Promise<StoreFixture & { readonly site: GraphSite }> {
  const site = await startGraphSite();
  const { graph } = site;
  const mailbox = graph.mailbox(testUser);
  mailbox.createFolder(otherFolder);
  const silent = await startScriptedServer(() => undefined);
  const silentToken = await startSilentTokenEndpoint();
  const narrow = await startDoor(graph.port);
  let receivedAt = Date.now() - 3_600_000;
  const folders = ['inbox', otherFolder, 'deleteditems'];
  const moments: Readonly<Record<SilentMoment, () => Partial<GraphContext>>> = {
    greeting: () => ({ overrides: { ...site.overrides, authorityHost: silent.origin } }),
    signIn: () => ({ overrides: { ...site.overrides, authorityHost: silentToken.origin } }),
    listing: () => {
      graph.faults.add({ fault: { kind: 'silent', done: false }, route: '/delta()' });
      return {};
    },
    // Sign-in does not pass this door; listing and the small mail are far below.
    body: () => {
      narrow.shutAfter(300_000);
      return { overrides: { ...site.overrides, graphEndpoint: `https://localhost:${narrow.port}` } };
    },
  };
  return {
    site,
    folder: 'inbox',
    otherFolder: `/${otherFolder}`,
    trashFolder: 'deleteditems',
    tellsRemaining: false,
    store: () => site.store(),
    storeWithWrongPassword: () => site.store({}, { secret: async () => 'wrong-password' }),
    storeAtClosedPort: () =>
      site.store({}, { overrides: { graphEndpoint: 'https://localhost:1', authorityHost: 'https://localhost:1' } }),
    storeFallingSilent: async (moment) => site.store({}, { ...moments[moment](), limits: silenceLimits }),
    empty: async () => {
      graph.faults.clear();
      for (const folder of folders) {
        for (const { immutableId } of mailbox.mails(folder)) mailbox.delete(immutableId, 'permanent');
      }
    },
    deliver: async (bytes) => {
      // Times are kept in whole seconds, and no order is promised within one.
      receivedAt += 1_000;
      mailbox.deliver(bytes, { receivedAt });
    },
    witnessBytes: async ({ source }) => mailbox.mail(source.item)?.bytes(),
    witnessFlags: async ({ source }) => {
      const found = mailbox.mail(source.item);
      return found && (found.isRead ? ['\\Seen'] : []);
    },
    witnessCount: async (folder) => mailbox.mails(folder.replace(/^\//, '')).length,
    removeByOther: async ({ source }) => mailbox.delete(source.item, 'permanent'),
    tearDown: async () => {
      await narrow.stop();
      await silent.stop();
      await silentToken.stop();
      await site.stop();
    },
  };
}

/** An authority that says where its token endpoint is, which then says nothing. */
async function startSilentTokenEndpoint(): Promise<ScriptedServer> {
  const server = await startScriptedServer((request, response) => {
    if (request.method !== 'GET') return;
    const base = `${server.origin}/${testTenant}`;
    json(response, 200, {
      issuer: `${base}/v2.0`,
      token_endpoint: `${base}/oauth2/v2.0/token`,
      authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
      jwks_uri: `${base}/discovery/v2.0/keys`,
    });
  });
  return server;
}

/** A mailbox that sends, behind a door that can be shut, for the transport contract. */
export async function graphSubject(
  settings: Readonly<Record<string, unknown>> = {},
): Promise<TransportSubject & { readonly site: GraphSite }> {
  const site = await startGraphSite();
  const { graph } = site;
  const door = await startDoor(graph.port);
  const dead = await closedPort();
  let losing = false;
  const at = (port: number) => ({ ...site.overrides, graphEndpoint: `https://localhost:${port}` });
  return {
    site,
    transport: (limits = {}) => {
      const { maxConnections = 5 } = limits;
      return createGraphTransport(graphTransportConfig(settings), {
        secret: async () => testSecret,
        overrides: at(door.port),
        maxConnections,
      });
    },
    unreachable: () => site.transport(settings, { overrides: at(dead) }),
    delivered: async () =>
      graph.sent(testUser).map((mail) => ({ bytes: mail.handedIn ?? mail.bytes(), recipients: mail.recipients })),
    connections: () => door.connections(),
    openConnections: () => door.open(),
    loseAnswer: () => {
      losing = true;
      // The answer to the send, and whatever is asked after it: the server is out of reach until it heals.
      for (const route of ['/send', '/sendMail']) {
        graph.faults.add({ fault: { kind: 'reset', done: true }, route, times: 1 });
      }
      graph.faults.add({ fault: { kind: 'reset', done: false }, method: 'GET', times: Number.POSITIVE_INFINITY });
    },
    goSilent: () => door.shut(true),
    heal: () => {
      if (losing) graph.faults.clear();
      losing = false;
      door.shut(false);
    },
    stop: async () => {
      await door.stop();
      await site.stop();
      // Connections of this subject are not to be counted by the next one.
      await delay(0);
    },
  };
}

/** A way to a server through which nothing comes back while it is shut. */
async function startDoor(target: number) {
  const sockets = new Set<net.Socket>();
  let connections = 0;
  let shut = false;
  let left = Number.POSITIVE_INFINITY;
  const server = net.createServer({ noDelay: true }, (socket) => {
    connections += 1;
    sockets.add(socket);
    const back = net.connect({ port: target, host: '127.0.0.1', noDelay: true });
    socket
      .on('error', () => back.destroy())
      .on('close', () => {
        sockets.delete(socket);
        back.destroy();
      });
    back.on('error', () => socket.destroy()).on('close', () => socket.destroy());
    socket.pipe(back);
    back.on('data', (chunk: Buffer) => {
      left -= chunk.length;
      if (!shut && left > 0) socket.write(chunk);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    connections: () => connections,
    open: () => sockets.size,
    shut: (value: boolean) => {
      shut = value;
    },
    /** Shuts itself when so many bytes have come back. */
    shutAfter: (bytes: number) => {
      left = bytes;
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
