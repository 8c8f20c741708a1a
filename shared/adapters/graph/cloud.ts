import type { GraphStoreConfig } from '../../accounts/model.ts';
import { authorityOf, type CloudOverrides, type TokenPlace } from '../sign-in/entra/place.ts';

/** Where an account's Graph is, and where its tokens come from. */
export interface GraphPlace extends TokenPlace {
  /** Base of all addresses, version included, without a slash at the end. */
  readonly base: string;
  readonly origin: string;
  /** Whether `permanentDelete` exists there. */
  readonly permanentDelete: boolean;
}

/** Microsoft Learn, "National cloud deployments". */
const graphs: Readonly<Record<GraphStoreConfig['cloud'], string>> = {
  global: 'https://graph.microsoft.com',
  usgov: 'https://graph.microsoft.us',
  dod: 'https://dod-graph.microsoft.us',
  china: 'https://microsoftgraph.chinacloudapi.cn',
};

/** The place of a cloud. Tokens are for the cloud's Graph, also where another endpoint stands in for it. */
export function graphPlace(cloud: GraphStoreConfig['cloud'], overrides: CloudOverrides = {}): GraphPlace {
  const graph = graphs[cloud];
  const endpoint = (overrides.graphEndpoint ?? graph).replace(/(?<!\/)\/+$/, '');
  const { origin } = new URL(endpoint);
  return {
    base: `${endpoint}/v1.0`,
    origin,
    ...authorityOf(cloud, overrides),
    scope: `${graph}/.default`,
    resource: 'Microsoft Graph',
    permanentDelete: cloud === 'global',
  };
}
