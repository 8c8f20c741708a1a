import type { Value } from '../read/functions.ts';
import { isObject } from '../read/functions.ts';
import { only } from './always.ts';
import { at, differences, ofType, type Rule } from './subject.ts';

/** Each service that the app speaks to has its private endpoint and its DNS zone, and the app is in the network. */
export const privateNetwork: Rule = function* (subject) {
  const site = only(subject, 'Microsoft.Web/sites');
  const subnet = site && at(site, 'properties.virtualNetworkSubnetId');
  const endpoints = ofType(subject, 'Microsoft.Network/privateEndpoints');
  if (!subject.everything) {
    if (endpoints.length > 0 || (subnet ?? null) !== null) yield 'There is a network that nobody asked for';
    return;
  }
  const network = only(subject, 'Microsoft.Network/virtualNetworks');
  if (!network || subnet !== `${network.id}/subnets/app`) yield 'The app is not in the subnet made for it';
  const subnets = network && at(network, 'properties.subnets');
  const app = (Array.isArray(subnets) ? (subnets as readonly Value[]) : []).find(
    (one) => isObject(one) && one.name === 'app',
  );
  if (!JSON.stringify(app ?? null).includes('Microsoft.App/environments')) {
    yield 'The subnet of the app is not delegated to Flex Consumption';
  }
  const services = [
    ...ofType(subject, 'Microsoft.Storage/storageAccounts').flatMap(({ id }) =>
      ['blob', 'queue', 'table'].map((service) => `${id} ${service}`),
    ),
    ...ofType(subject, 'Microsoft.KeyVault/vaults').map(({ id }) => `${id} vault`),
  ];
  yield* differences('Private endpoints', endpoints.flatMap(connections), services);
  const groups = ofType(subject, 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups');
  const zones = ofType(subject, 'Microsoft.Network/privateDnsZones').map(({ id }) => id);
  const links = ofType(subject, 'Microsoft.Network/privateDnsZones/virtualNetworkLinks').map(({ id }) => id);
  for (const zone of zones) {
    if (!links.some((link) => link.startsWith(`${zone}/`))) yield `${zone} is not linked to the network`;
  }
  for (const endpoint of endpoints) {
    const group = groups.find(({ id }) => id.startsWith(`${endpoint.id}/`));
    const [service] = connections(endpoint).map((connection) => connection.split(' ')[1]);
    const zone = zones.find((id) => id.includes(`privatelink.${service === 'vault' ? 'vaultcore' : service}.`));
    if (!group || !JSON.stringify(group.body).includes(`"${zone}"`)) yield `${endpoint.id} has no name in the network`;
  }
};

function connections(endpoint: Parameters<typeof at>[0]): readonly string[] {
  const list = at(endpoint, 'properties.privateLinkServiceConnections');
  return (Array.isArray(list) ? (list as readonly Value[]) : []).map((connection) => {
    const properties = isObject(connection) ? connection.properties : undefined;
    if (!isObject(properties)) return '';
    return `${String(properties.privateLinkServiceId)} ${String(properties.groupIds)}`;
  });
}
