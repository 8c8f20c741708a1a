import type { GraphStoreConfig } from '../../accounts/model.ts';

/** Settings that replace the clouds' own hosts (design section 7): private clouds and tests. */
export interface GraphOverrides {
  /** `GRAPH_ENDPOINT`. */
  readonly endpoint?: string | undefined;
  /** `AZURE_AUTHORITY_HOST`. */
  readonly authorityHost?: string | undefined;
}

/** Where an account's Graph is, and where its tokens come from. */
export interface GraphPlace {
  /** Base of all addresses, version included, without a slash at the end. */
  readonly base: string;
  readonly origin: string;
  readonly authorityHost: string;
  /** The authority is not one of Microsoft's: instance discovery cannot know it. */
  readonly privateAuthority: boolean;
  readonly scope: string;
  /** Whether `permanentDelete` exists there. */
  readonly permanentDelete: boolean;
}

/** Microsoft Learn, "National cloud deployments". */
const clouds: Readonly<Record<GraphStoreConfig['cloud'], { readonly graph: string; readonly login: string }>> = {
  global: { graph: 'https://graph.microsoft.com', login: 'https://login.microsoftonline.com' },
  usgov: { graph: 'https://graph.microsoft.us', login: 'https://login.microsoftonline.us' },
  dod: { graph: 'https://dod-graph.microsoft.us', login: 'https://login.microsoftonline.us' },
  china: { graph: 'https://microsoftgraph.chinacloudapi.cn', login: 'https://login.chinacloudapi.cn' },
};

/** The place of a cloud. Tokens are for the cloud's Graph, also where another endpoint stands in for it. */
export function graphPlace(cloud: GraphStoreConfig['cloud'], overrides: GraphOverrides = {}): GraphPlace {
  const { graph, login } = clouds[cloud];
  const endpoint = (overrides.endpoint ?? graph).replace(/\/+$/, '');
  const { origin } = new URL(endpoint);
  return {
    base: `${endpoint}/v1.0`,
    origin,
    authorityHost: overrides.authorityHost ?? login,
    privateAuthority: overrides.authorityHost !== undefined,
    scope: `${graph}/.default`,
    permanentDelete: cloud === 'global',
  };
}
