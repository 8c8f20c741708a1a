import { type SinkMail, startSmtpSink } from '../../local/smtp-sink.ts';

/** An SMTP server that takes every mail, but only while its gate is open: a mail that comes meanwhile waits at its end. */
export interface GatedSink {
  readonly port: number;
  /** Mails with exactly this subject, in the order of arrival. */
  bySubject(subject: string): readonly SinkMail[];
  close(): void;
  open(): void;
  stop(): Promise<void>;
}

export async function startGatedSink(): Promise<GatedSink> {
  let gate = Promise.resolve();
  let open = () => {};
  const sink = await startSmtpSink({ deliver: () => gate });
  return {
    port: sink.port,
    bySubject: (subject) =>
      sink
        .mails()
        .filter(({ bytes }) => `\r\n${bytes.toString('latin1', 0, 4096)}`.includes(`\r\nSubject: ${subject}\r\n`)),
    close() {
      gate = new Promise((resolve) => {
        open = resolve;
      });
    },
    open: () => {
      open();
      gate = Promise.resolve();
    },
    async stop() {
      open();
      await sink.stop();
    },
  };
}
