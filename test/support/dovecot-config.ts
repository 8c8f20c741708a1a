import { join } from 'node:path';
import type { TestCertificates } from './certificates.ts';

export interface DovecotPorts {
  readonly imap: number;
  readonly imaps: number;
  readonly pop3: number;
  readonly pop3s: number;
  /** Absent where the package dovecot-lmtpd is not installed. */
  readonly lmtp?: number;
}

export interface MailOwner {
  readonly name: string;
  readonly group: string;
  readonly uid: number;
  readonly gid: number;
  readonly root: boolean;
}

export interface DovecotConfigOptions {
  readonly base: string;
  readonly mailDir: string;
  readonly owner: MailOwner;
  readonly ports: DovecotPorts;
  readonly certificates: TestCertificates;
  readonly format: 'maildir' | 'sdbox';
  /** The settings file of the oauth2 driver; undefined: no XOAUTH2. */
  readonly xoauth2: string | undefined;
  readonly extra: string;
}

/** The settings of Dovecot's oauth2 driver: every token is asked about. */
export const oauth2Config = (introspectionUrl: string): string => `introspection_url = ${introspectionUrl}
introspection_mode = auth
username_attribute = username
active_attribute = active
active_value = true
`;

const oauth2Passdb = (args: string) => `auth_mechanisms = plain login cram-md5 xoauth2
passdb {
  driver = oauth2
  mechanisms = xoauth2
  args = ${args}
}`;

/** The configuration of a Dovecot 2.3 that keeps to one directory, needs no system user database and answers at once. */
export function dovecotConfig(options: DovecotConfigOptions): string {
  const { base, mailDir, owner, ports, certificates, format } = options;
  // The login processes run unprivileged and in a chroot as root; neither is possible (or needed) for another user.
  const loginUser = owner.root ? 'dovenull' : owner.name;
  const login = owner.root ? '' : 'chroot =';
  const listener = (name: string, port: number, ssl: boolean) =>
    `  inet_listener ${name} {\n    address = 127.0.0.1\n    port = ${port}\n    ssl = ${ssl ? 'yes' : 'no'}\n  }`;
  const lmtp = ports.lmtp === undefined ? '' : `service lmtp {\n${listener('lmtp', ports.lmtp, false)}\n}`;
  return `
base_dir = ${join(base, 'run')}
state_dir = ${join(base, 'state')}
log_path = ${join(base, 'log')}
protocols = imap pop3${ports.lmtp === undefined ? '' : ' lmtp'}
listen = 127.0.0.1
default_internal_user = ${owner.name}
default_internal_group = ${owner.group}
default_login_user = ${loginUser}
first_valid_uid = 1
first_valid_gid = 1
ssl = yes
ssl_cert = <${certificates.certPath}
ssl_key = <${certificates.keyPath}
disable_plaintext_auth = no
auth_mechanisms = plain login
# A refused sign-in is answered at once, and a penalty for the many of a test run is not wanted.
auth_failure_delay = 0
mail_location = ${format}:${join(mailDir, '%u')}
# Every uidvalidity change and delivery must be seen by the very next command.
mailbox_list_index = no
mail_max_userip_connections = 200
# Crashes of a test (kill) must lose nothing that was answered; speed matters more than the power cut of a real disk.
mail_fsync = never
${options.xoauth2 === undefined ? '' : oauth2Passdb(options.xoauth2)}
passdb {
  driver = passwd-file
  args = ${join(base, 'passwd')}
}
userdb {
  driver = static
  args = uid=${owner.uid} gid=${owner.gid} home=${join(mailDir, '%u')}
}
namespace inbox {
  inbox = yes
  separator = /
  mailbox Trash {
    special_use = \\Trash
  }
  mailbox Sent {
    special_use = \\Sent
  }
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
  chroot =
}
service imap-login {
  ${login}
${listener('imap', ports.imap, false)}
${listener('imaps', ports.imaps, true)}
}
service pop3-login {
  ${login}
${listener('pop3', ports.pop3, false)}
${listener('pop3s', ports.pop3s, true)}
}
${lmtp}
service stats {
  chroot =
}
${options.extra}
`;
}
