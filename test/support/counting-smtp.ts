import { setTimeout as delay } from 'node:timers/promises';
import { SMTPServer } from 'smtp-server';

export interface CountingSmtp {
  readonly port: number;
  /** When each mail had arrived as a whole, and its first recipient. */
  readonly arrivals: { readonly at: number; readonly to: string }[];
  /** Connections open now, and the most that ever were at the same time. */
  open(): number;
  most(): number;
  stop(): Promise<void>;
}

/** An SMTP server that counts its connections and takes its time over every mail. */
export async function startCountingSmtp(options: { readonly takesMs: number; now?(): number }): Promise<CountingSmtp> {
  const arrivals: { at: number; to: string }[] = [];
  let open = 0;
  let most = 0;
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    disableReverseLookup: true,
    closeTimeout: 100,
    onConnect(_session, done) {
      open += 1;
      most = Math.max(most, open);
      done();
    },
    onClose() {
      open -= 1;
    },
    onData(stream, session, done) {
      stream.on('end', () => {
        arrivals.push({ at: options.now?.() ?? Date.now(), to: session.envelope.rcptTo[0]?.address ?? '' });
        void delay(options.takesMs).then(() => done());
      });
      stream.resume();
    },
  });
  server.on('error', () => {});
  const port = await new Promise<number>((resolve) => {
    const listening = server.listen(0, '127.0.0.1', () => {
      const address = listening.address();
      resolve(address !== null && typeof address !== 'string' ? address.port : 0);
    });
  });
  return {
    port,
    arrivals,
    open: () => open,
    most: () => most,
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
