/**
 * Zones by name, in minutes: those of RFC 5322 section 4.3, and those that mail has and that have one meaning. `cst`
 * and `bst` are read as the RFC and most mail mean them; `ist` has three meanings and is left out.
 */
const zones = new Map([
  ['z', 0],
  ['ut', 0],
  ['utc', 0],
  ['gmt', 0],
  ['wet', 0],
  ['edt', -240],
  ['est', -300],
  ['cdt', -300],
  ['cst', -360],
  ['mdt', -360],
  ['mst', -420],
  ['pdt', -420],
  ['pst', -480],
  ['adt', -180],
  ['nst', -210],
  ['ndt', -150],
  ['akst', -540],
  ['akdt', -480],
  ['hst', -600],
  ['brt', -180],
  ['art', -180],
  ['west', 60],
  ['bst', 60],
  ['cet', 60],
  ['met', 60],
  ['mez', 60],
  ['cest', 120],
  ['mest', 120],
  ['mesz', 120],
  ['eet', 120],
  ['sast', 120],
  ['eest', 180],
  ['msk', 180],
  ['trt', 180],
  ['msd', 240],
  ['pkt', 300],
  ['ict', 420],
  ['wib', 420],
  ['hkt', 480],
  ['sgt', 480],
  ['awst', 480],
  ['jst', 540],
  ['kst', 540],
  ['acst', 570],
  ['aest', 600],
  ['acdt', 630],
  ['aedt', 660],
  ['nzst', 720],
  ['nzdt', 780],
]);

/** No zone is further away than 14 hours. */
const MAX_MINUTES = 14 * 60;

/** A time zone as a date names it. */
export interface Zone {
  /** East of UTC. */
  readonly minutes: number;
  /** False where the zone means nothing, and UTC was taken (RFC 5322 section 4.3). */
  readonly known: boolean;
}

/** Minutes east of UTC. `offset`: a sign and digits; it decides before `name`. Without either: UTC. Lower case. */
export function zoneMinutes(offset: string | undefined, name: string | undefined): Zone {
  if (offset === undefined) {
    if (name === undefined) return { minutes: 0, known: true };
    const minutes = zones.get(name);
    // A single letter is a military zone, which mail got wrong so often that it means "not known".
    return { minutes: minutes ?? 0, known: minutes !== undefined || name.length === 1 };
  }
  const text = offset.slice(1).replace(':', '');
  const minutes = text.length <= 2 ? Number(text) * 60 : Number(text.slice(0, -2)) * 60 + Number(text.slice(-2));
  if (minutes > MAX_MINUTES) return { minutes: 0, known: false };
  return { minutes: offset.startsWith('-') ? -minutes : minutes, known: true };
}
