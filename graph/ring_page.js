"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const shapes = { user: "ellipse", device: "round-rectangle", ip: "diamond", restaurant: "hexagon" };

  // Users around what they share: a start from which the layout always comes to the same picture.
  const outer = data.nodes.filter((n) => n.type === "user").length || 1;
  const inner = data.nodes.length - outer || 1;
  const placed = { user: 0, other: 0 };
  const start = (node) => {
    const kind = node.type === "user" ? "user" : "other";
    const [around, radius] = kind === "user" ? [outer, 60 + 22 * outer] : [inner, 10 + 11 * inner];
    const angle = (2 * Math.PI * placed[kind]++) / around;
    return { x: radius * Math.cos(angle), y: radius * Math.sin(angle) };
  };

  const cy = cytoscape({
    container: document.getElementById("graph"),
    elements: [
      ...data.nodes.map((n) => ({
        group: "nodes", position: start(n), classes: n.fraud_known ? "fraud" : "",
        data: { ...n, colour: colour(n.band), shape: shapes[n.type] || "triangle" },
      })),
      ...data.links.map((l, i) => ({
        group: "edges", classes: l.fraud_known ? "fraud" : "", data: { ...l, id: `link ${i}` },
      })),
    ],
    style: [
      { selector: "node", style: {
        label: "data(label)", shape: "data(shape)", "background-color": "data(colour)",
        width: "data(size)", height: "data(size)", "border-width": 1, "border-color": "#1b2430",
        "font-size": 12, color: "#1b2430", "text-wrap": "wrap", "text-valign": "bottom", "text-margin-y": 4,
        "text-background-color": "#fff", "text-background-opacity": 0.85, "text-background-padding": 1,
      } },
      { selector: "node.fraud", style: { "border-width": 4 } },
      { selector: "edge", style: {
        width: "data(width)", "line-color": "#8b96a3", "curve-style": "straight", label: "data(label)",
        "font-size": 10, color: "#3d4753", "text-rotation": "autorotate", "text-background-color": "#fff",
        "text-background-opacity": 0.9, "text-background-padding": 1, "min-zoomed-font-size": 7,
      } },
      { selector: "edge.fraud", style: { "line-color": "#1b2430", "line-style": "dashed" } },
      { selector: "edge.near", style: { "min-zoomed-font-size": 0 } },
      { selector: "edge.wordless", style: { label: "" } },
      { selector: ".faded", style: { opacity: 0.15 } },
      { selector: ".later", style: { display: "none" } },
      { selector: ":selected", style: { "border-color": "#005a8f", "border-width": 5, "line-color": "#005a8f" } },
    ],
    layout: {
      name: "cose", animate: false, randomize: false, fit: true, padding: 40, nodeDimensionsIncludeLabels: true,
      idealEdgeLength: () => 90, nodeRepulsion: () => 40000, nodeOverlap: 20, gravity: 0.3, numIter: 1500,
    },
    minZoom: 0.08, maxZoom: 4, selectionType: "single", autounselectify: false, boxSelectionEnabled: false,
  });
  window.ring = cy;

  const chosen = document.getElementById("chosen");
  const rows = new Map([...document.querySelectorAll("#members tr[data-id]")].map((row) => [row.dataset.id, row]));
  const nothing = [...chosen.childNodes].map((n) => n.cloneNode(true));

  const show = (element) => {
    rows.forEach((row) => row.classList.remove("is-chosen"));
    cy.elements().removeClass("faded near");
    if (!element) {
      chosen.replaceChildren(...nothing.map((n) => n.cloneNode(true)));
      return;
    }
    const near = element.isNode() ? element.closedNeighborhood() : element.union(element.connectedNodes());
    cy.elements().difference(near).addClass("faded");
    near.edges().addClass("near");
    chosen.replaceChildren(...element.data("text").map((line) => {
      const p = document.createElement("p");
      p.textContent = line;
      return p;
    }));
    rows.get(element.id())?.classList.add("is-chosen");
  };
  cy.on("select", (event) => show(event.target));
  cy.on("unselect", () => { if (cy.$(":selected").empty()) show(null); });
  rows.forEach((row, id) => row.querySelector("button").addEventListener("click", () => {
    cy.$(":selected").unselect();
    cy.getElementById(id).select();
    document.querySelector(".picture").scrollIntoView({ block: "start" });
  }));

  // Names stay readable when a large ring is seen whole; times on links appear where there is room for them.
  let size = 12;
  const letters = () => {
    const wanted = Math.round(Math.min(Math.max(11 / cy.zoom(), 10), 26));
    if (wanted !== size) {
      size = wanted;
      cy.style().selector("node, edge.near").style("font-size", size).update();
    }
  };
  cy.on("zoom", letters);
  letters();

  const fit = () => cy.fit(cy.elements(":visible"), 30);
  const zoom = (factor) => cy.zoom({
    level: cy.zoom() * factor, renderedPosition: { x: cy.width() / 2, y: cy.height() / 2 },
  });
  document.getElementById("fit").addEventListener("click", fit);
  document.getElementById("nearer").addEventListener("click", () => zoom(1.3));
  document.getElementById("farther").addEventListener("click", () => zoom(1 / 1.3));
  const texts = document.getElementById("texts");
  texts.addEventListener("click", () => {
    const on = texts.getAttribute("aria-pressed") !== "true";
    texts.setAttribute("aria-pressed", String(on));
    cy.edges().toggleClass("wordless", !on);
  });

  const until = document.getElementById("until");
  const untilText = document.getElementById("until-text");
  const grow = () => {
    const [time, words] = data.times[Number(until.value)] || ["", ""];
    untilText.textContent = words;
    cy.batch(() => {
      cy.edges().forEach((edge) => { edge.toggleClass("later", (edge.data("first_at") || "") > time); });
      cy.nodes().forEach((node) => { node.toggleClass("later", (node.data("first_at") || "") > time); });
    });
  };
  if (data.times.length > 1) {
    until.max = String(data.times.length - 1);
    until.value = until.max;
    until.addEventListener("input", grow);
    grow();
  } else {
    until.closest("label").remove();
  }
  window.addEventListener("resize", () => { cy.resize(); fit(); });
})();
