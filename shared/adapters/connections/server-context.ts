import type { DialogueContext } from '../dialogue.ts';
import type { NetworkPolicy } from '../net/mail-network.ts';
import type { CredentialsContext } from '../sign-in/credentials.ts';

/** What every adapter that signs in to a server asks of the service. */
export interface ServerContext extends CredentialsContext, DialogueContext {
  /** Which addresses may be connected to; absent: none of the machine's own networks. */
  readonly network?: NetworkPolicy | undefined;
}
