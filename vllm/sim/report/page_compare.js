// The page of a comparison.

document.getElementById("subtitle").textContent = data.subtitle;
const names = data.runs;
const colours = names.map((_, place) => `--s${place % 6}`);

const set = section("What was set differently", "");
if (data.configuration.length) table(set, ["", ...names], data.configuration);
else make("p", set, "Nothing: the configurations are the same.", "note");

const parted = section("Where the schedules part", "");
for (const one of data.schedules) {
  make("h3", parted, one.name);
  for (const line of one.lines) make("div", parted, line);
}

table(section("Figures", "", `Changes are against ${names[0]}.`), ["", ...names], data.figures);

for (const one of data.distributions) {
  const box = section(one.name, "half", one.note);
  legend(box, names.map((name, place) => [name, colours[place]]));
  distribution(box, one.name, one.series.map((series, place) => (
    { name: names[place], colour: colours[place], ...series })));
}
