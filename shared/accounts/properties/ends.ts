import type { Mistake } from '../../http/problem.ts';
import { appCredential } from './app-credential.ts';
import type { NewSecret } from './new-secrets.ts';
import type { PropertySheet } from './property-sheet.ts';
import type { DeclaredEnds } from './protocols.ts';
import { isSmtp, mapServer, nameOf, type ServerEnd, serverEnd } from './server-end.ts';
import { mapSignIn, signsInAsApp } from './sign-in.ts';
import { mapSmtp } from './smtp-fields.ts';

export interface EndsContext {
  readonly account: string;
  readonly notes: Mistake[];
  readonly secrets: NewSecret[];
  readonly hasSecret: (name: string) => Promise<boolean>;
}

/** Transport and store, as fields of the account. */
export async function mapEnds(
  sheet: PropertySheet,
  ends: DeclaredEnds,
  context: EndsContext,
): Promise<Record<string, unknown>> {
  const graph = ends.transport === 'graph' || ends.store === 'graph';
  const store = ends.store && ends.store !== 'graph' ? serverEnd(sheet, 'store', ends.store) : undefined;
  const transport =
    ends.transport && ends.transport !== 'graph' ? serverEnd(sheet, 'transport', ends.transport) : undefined;
  const storeTakesApp = store !== undefined && signsInAsApp(sheet, store, graph);
  // A relay beside a store of Exchange Online: nothing says that it signs in.
  const relay =
    transport !== undefined &&
    isSmtp(transport) &&
    !sheet.has(nameOf(transport, 'user')) &&
    sheet.text(nameOf(transport, 'auth'))?.toLowerCase() !== 'true';
  return {
    ...(ends.transport === 'graph' ? { transport: mapGraph(sheet, 'transport', context) } : {}),
    ...(ends.store === 'graph' ? { store: mapGraph(sheet, 'store', context) } : {}),
    ...(transport
      ? { transport: await mapServerEnd(sheet, transport, graph || (storeTakesApp && relay), context) }
      : {}),
    ...(store ? { store: await mapServerEnd(sheet, store, graph, context) } : {}),
  };
}

async function mapServerEnd(
  sheet: PropertySheet,
  end: ServerEnd,
  appIsTaken: boolean,
  context: EndsContext,
): Promise<Record<string, unknown>> {
  return {
    ...mapServer(sheet, end, context.notes),
    auth: await mapSignIn(sheet, end, { ...context, appIsTaken }),
    ...(isSmtp(end) ? mapSmtp(sheet, end) : {}),
  };
}

function mapGraph(sheet: PropertySheet, side: ServerEnd['side'], context: EndsContext): Record<string, unknown> {
  const userId = sheet.text('user.id');
  if (userId === undefined) sheet.wrong('user.id', 'is required: the mailbox', `/${side}/userId`);
  sheet.used('user.id', `userId of the ${side}`);
  sheet.origin(`/${side}/userId`, 'user.id');
  return {
    protocol: 'graph',
    ...(userId === undefined ? {} : { userId }),
    credential: appCredential(sheet, context.account, `/${side}/credential`, context.secrets),
  };
}
