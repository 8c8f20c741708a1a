import type { CredentialsContext } from './credentials.ts';
import type { DialogueContext } from './dialogue.ts';

/** What every adapter that signs in to a server asks of the service. */
export interface ServerContext extends CredentialsContext, DialogueContext {}
