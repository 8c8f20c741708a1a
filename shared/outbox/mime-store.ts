/** Blob of a message's frozen MIME in container `outbox`. */
export function mimePath(account: string, rest: string): string {
  return `${account}/${rest}.eml`;
}
