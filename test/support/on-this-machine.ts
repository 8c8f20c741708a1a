import { mailNetwork } from '../../shared/adapters/net/mail-network.ts';

/** Networks of this machine, where the servers of tests are. */
export const loopback = ['127.0.0.0/8', '::1/128'] as const;

/** What lets an adapter talk to servers on this machine, and give them tokens of the stand-in for Entra ID. */
export const onThisMachine = { network: mailNetwork(loopback), tokenRefusal: () => undefined } as const;
