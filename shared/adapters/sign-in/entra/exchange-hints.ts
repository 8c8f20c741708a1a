const roles = { IMAP: 'IMAP.AccessAsApp', POP: 'POP.AccessAsApp', SMTP: 'SMTP.SendAsApp' } as const;

/**
 * What to check where Exchange Online refuses a token that Entra ID has just made: it does not say which of these it is
 * (Microsoft Learn, "Authenticate an IMAP, POP or SMTP connection using OAuth").
 */
export function exchangeTokenHint(protocol: keyof typeof roles): string {
  return [
    'Entra ID gave a token, and the mail server refuses it for this mailbox.',
    `Check auth.user; that the app has ${roles[protocol]} with admin consent;`,
    'that New-ServicePrincipal was run with the object id of the enterprise application (not of the app registration);',
    'and that this service principal has FullAccess to the mailbox (Add-MailboxPermission).',
  ].join(' ');
}

/** Signed in, and yet without a mailbox: what Exchange says as "User is authenticated but not connected". */
export const notConnectedHint =
  'The sign-in was taken, and the mailbox cannot be opened with it. Check that auth.user is a mailbox of the organization with a licence, and that the app’s service principal (with the object id of the enterprise application) has FullAccess to it (Add-MailboxPermission).';
