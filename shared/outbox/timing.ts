/** Longest time one delivery may take: 150 MB at 2 Mbit/s, within the functions' time-out. In ms. */
export const deliveryMs = 540_000;

/** How early before its time a message, or a copy, may go: clocks of queue and app differ a little. In ms. */
export const earlyMs = 2_000;

/** What is before its commit point when the process is to end goes on for this long, and is then given back. In ms. */
export const stopGraceMs = 1_500;
