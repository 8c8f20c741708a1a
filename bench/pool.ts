import { createTransport } from 'nodemailer';

/** A bare nodemailer pool to an SMTP server of this machine, whose connections carry as many mails as there are. */
export function openPool({ port, connections }: { readonly port: number; readonly connections: number }) {
  return createTransport({
    pool: true,
    host: '127.0.0.1',
    port,
    secure: false,
    ignoreTLS: true,
    maxConnections: connections,
    maxMessages: Number.POSITIVE_INFINITY,
  });
}
