import net from 'node:net';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { freePort } from '../../local/ports.ts';
import { transportSchema } from '../../shared/accounts/model.ts';
import type { SmtpConfig, TransportContext } from '../../shared/adapters/smtp/smtp-transport.ts';
import { createSmtpTransport } from '../../shared/adapters/smtp/smtp-transport.ts';
import type { DeliveredMail, TransportSubject } from '../contract/transport.contract.ts';
import { onThisMachine } from './on-this-machine.ts';

export interface SmtpSubjectOptions {
  readonly server?: SMTPServerOptions;
  /** Fields of the account's transport, beside host and port. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly context?: Partial<TransportContext>;
}

export interface SmtpSubject extends TransportSubject {
  readonly host: string;
  readonly port: number;
  transportWith(
    config: Readonly<Record<string, unknown>>,
    context?: Partial<TransportContext>,
  ): ReturnType<typeof createSmtpTransport>;
}

/** An account's transport as the account model would give it. */
export function smtpConfig(fields: Readonly<Record<string, unknown>>): SmtpConfig {
  const config = transportSchema.parse({ protocol: 'smtp', host: '127.0.0.1', ...fields });
  if (config.protocol !== 'smtp' && config.protocol !== 'smtps') throw new Error('not an SMTP transport');
  return config;
}

/** An SMTP server from npm that keeps what it takes, can lose its answers and can go silent. */
export async function startSmtpSubject(options: SmtpSubjectOptions = {}): Promise<SmtpSubject> {
  const delivered: DeliveredMail[] = [];
  const sockets = new Set<net.Socket>();
  let connections = 0;
  let received = 0;
  let losing = false;
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    disableReverseLookup: true,
    logger: false,
    closeTimeout: 100,
    onRcptTo(address, _session, done) {
      const refusal = { 'nobody@example.org': 550, 'later@example.org': 450 }[address.address];
      done(refusal ? Object.assign(new Error('not for this mailbox'), { responseCode: refusal }) : null);
    },
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      received = 0;
      stream.on('data', (chunk: Buffer) => {
        received += chunk.length;
        chunks.push(chunk);
      });
      stream.on('end', () => {
        delivered.push({ bytes: Buffer.concat(chunks), recipients: session.envelope.rcptTo.map((to) => to.address) });
        if (!losing) done();
        else for (const socket of sockets) socket.destroy();
      });
    },
    ...options.server,
  });
  server.on('error', () => {});
  // A listener of one's own in front: it can hold back whole connections, whatever they speak.
  let silent = false;
  const front = net.createServer({ noDelay: true }, (socket) => {
    connections += 1;
    sockets.add(socket);
    const back = net.connect({ port: backPort, host: '127.0.0.1', noDelay: true });
    socket
      .on('error', () => back.destroy())
      .on('close', () => {
        sockets.delete(socket);
        back.destroy();
      });
    back.on('error', () => socket.destroy()).on('close', () => socket.destroy());
    socket.pipe(back);
    back.on('data', (chunk: Buffer) => {
      if (!silent) socket.write(chunk);
    });
  });
  const backPort = await new Promise<number>((resolve) => {
    const listening = server.listen(0, '127.0.0.1', () => {
      const address = listening.address();
      resolve(address !== null && typeof address !== 'string' ? address.port : 0);
    });
  });
  const port = await new Promise<number>((resolve) => {
    front.listen(0, '127.0.0.1', () => {
      const address = front.address();
      resolve(address !== null && typeof address !== 'string' ? address.port : 0);
    });
  });
  const deadPort = await freePort();

  function transportWith(fields: Readonly<Record<string, unknown>>, context: Partial<TransportContext> = {}) {
    return createSmtpTransport(smtpConfig({ port, ...options.config, ...fields }), {
      secret: async (name) => {
        throw new Error(`no secret ${name}`);
      },
      maxConnections: 5,
      ...onThisMachine,
      ...options.context,
      ...context,
    });
  }
  return {
    host: '127.0.0.1',
    port,
    transportWith,
    transport: (limits = {}) => transportWith({}, limits),
    unreachable: () => transportWith({ port: deadPort }),
    delivered: async () => [...delivered],
    connections: () => connections,
    openConnections: () => sockets.size,
    received: () => received,
    refuses: { forGood: 'nobody@example.org', forNow: 'later@example.org' },
    loseAnswer() {
      losing = true;
    },
    goSilent() {
      silent = true;
    },
    heal() {
      losing = false;
      silent = false;
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      await Promise.all([
        new Promise<void>((resolve) => front.close(() => resolve())),
        new Promise<void>((resolve) => server.close(() => resolve())),
      ]);
    },
  };
}
