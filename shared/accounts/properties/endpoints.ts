import type { Mistake } from '../../platform/refusal.ts';
import { appCredential } from './app-credential.ts';
import type { NewSecret } from './new-secrets.ts';
import type { PropertyReader } from './property-reader.ts';
import type { DeclaredProtocols } from './protocols.ts';
import { isSmtp, mapServer, nameOf, type ServerEndpoint, serverEndpoint } from './server-endpoint.ts';
import { mapSignIn, signsInAsApp } from './sign-in.ts';
import { mapSmtp } from './smtp-fields.ts';

/** What transport and store are made with; `notes` and `secrets` are added to. */
export interface EndpointsContext {
  readonly account: string;
  readonly notes: Mistake[];
  readonly secrets: NewSecret[];
  readonly hasSecret: (name: string) => Promise<boolean>;
}

/** Transport and store, as fields of the account. */
export async function mapEndpoints(
  reader: PropertyReader,
  protocols: DeclaredProtocols,
  context: EndpointsContext,
): Promise<Record<string, unknown>> {
  const graph = protocols.transport === 'graph' || protocols.store === 'graph';
  const store =
    protocols.store && protocols.store !== 'graph' ? serverEndpoint(reader, 'store', protocols.store) : undefined;
  const transport =
    protocols.transport && protocols.transport !== 'graph'
      ? serverEndpoint(reader, 'transport', protocols.transport)
      : undefined;
  const storeTakesApp = store !== undefined && signsInAsApp(reader, store, graph);
  // A relay beside a store of Exchange Online: nothing says that it signs in.
  const relay =
    transport !== undefined &&
    isSmtp(transport) &&
    !reader.has(nameOf(transport, 'user')) &&
    reader.text(nameOf(transport, 'auth'))?.toLowerCase() !== 'true';
  return {
    ...(protocols.transport === 'graph' ? { transport: mapGraph(reader, 'transport', context) } : {}),
    ...(protocols.store === 'graph' ? { store: mapGraph(reader, 'store', context) } : {}),
    ...(transport
      ? { transport: await mapServerEndpoint(reader, transport, graph || (storeTakesApp && relay), context) }
      : {}),
    ...(store ? { store: await mapServerEndpoint(reader, store, graph, context) } : {}),
  };
}

async function mapServerEndpoint(
  reader: PropertyReader,
  endpoint: ServerEndpoint,
  appIsTaken: boolean,
  context: EndpointsContext,
): Promise<Record<string, unknown>> {
  return {
    ...mapServer(reader, endpoint, context.notes),
    auth: await mapSignIn(reader, endpoint, { ...context, appIsTaken }),
    ...(isSmtp(endpoint) ? mapSmtp(reader, endpoint) : {}),
  };
}

function mapGraph(
  reader: PropertyReader,
  side: ServerEndpoint['side'],
  context: EndpointsContext,
): Record<string, unknown> {
  const userId = reader.text('user.id');
  if (userId === undefined) reader.wrong('user.id', 'is required: the mailbox', `/${side}/userId`);
  reader.used('user.id', `userId of the ${side}`);
  reader.origin(`/${side}/userId`, 'user.id');
  return {
    protocol: 'graph',
    ...(userId === undefined ? {} : { userId }),
    credential: appCredential(reader, context.account, `/${side}/credential`, context.secrets),
  };
}
