/** The longest span a timer of Node takes, 24 days; a longer one would fire at once. */
export const timerMsMax = 0x7fff_ffff;
