import json

import pytest

from studies.paper.report.answers import answers
from studies.paper.report.findings import comparators, findings
from studies.paper.report.methods import Variant
from studies.paper.report.pareto import Place, front, places, spread
from studies.paper.report.results import Quantity, load
from tests.studies.made_up import LOSSES, TIMES, write_results

AS_PUBLISHED = {
    "fp32": 1.0, "half": 0.5, "fp16": 0.52, "mpt": 1.0, "muppet": 1.6, "afp": 1.4,
    "mascot-n2": 0.7, "mascot": 0.55, "int8": 0.5,
}  # fmt: skip
COMPARATORS_WORSE = LOSSES | {"mpt": 0.02, "muppet": 0.03, "afp": 0.04}


@pytest.fixture
def answered(tmp_path):
    def answer(**world):
        write_results(tmp_path / "quick", epochs=3, **world)
        return {answer.name: answer for answer in answers(load(tmp_path / "quick", "quick"))}

    return answer


def change(folder, name, change_content):
    path = folder / f"{name}.json"
    content = json.loads(path.read_text())
    change_content(content)
    path.write_text(json.dumps(content))


def test_like_the_paper(answered):
    found = answered(times=AS_PUBLISHED, losses=COMPARATORS_WORSE)
    assert found["RQ1"].verdict == "agrees"
    assert found["RQ2"].verdict == "agrees"
    assert found["RQ4"].verdict == "agrees"
    (finding,) = found["RQ1"].findings
    assert finding.why == ""
    assert "contrary" not in finding.sentence
    assert "k = 128 (the paper: 0.55)" in finding.sentence


def test_unlike_the_paper(answered):
    found = answered(times=TIMES, losses=LOSSES)
    assert [found[f"RQ{n}"].verdict for n in (1, 2, 3, 4)] == [
        "contradicts", "agrees in part", "agrees in part", "agrees",
    ]  # fmt: skip
    assert "contrary to the paper" in found["RQ1"].findings[0].sentence
    assert found["RQ1"].findings[0].why.startswith("Likely because this was run on a CPU")
    assert "its loss" not in found["RQ2"].findings[0].why
    assert "MPT" in found["RQ2"].findings[0].sentence


def test_a_smaller_saving_is_not_the_papers(answered):
    found = answered(times=AS_PUBLISHED | {"mascot": 0.85})
    assert found["RQ1"].verdict == "agrees in part"
    assert "that is a smaller saving, contrary to the paper" in found["RQ1"].findings[0].sentence


def test_a_comparator_that_saves_time_is_told(answered):
    found = answered(times=AS_PUBLISHED | {"mpt": 0.8})
    assert found["RQ1"].verdict == "agrees in part"
    assert "existing quantisation saves time, too (MPT)" in found["RQ1"].findings[0].sentence


def test_an_error_that_is_not_comparable_contradicts(answered):
    found = answered(losses=LOSSES | {"mascot": 0.02})
    assert found["RQ2"].verdict == "contradicts"


def test_one_repetition_tells_nothing(answered):
    found = answered(repetitions=1)
    assert found["RQ1"].verdict == "cannot be told"
    assert found["RQ2"].verdict == "cannot be told"
    assert "which decides nothing" in found["RQ2"].findings[0].sentence


def test_one_sentence_for_each_data_set(answered):
    found = answered(data=["ml-10m", "netflix"])
    sentences = [finding.sentence for finding in found["RQ3"].findings]
    assert [sentence.split(",")[0] for sentence in sentences] == ["On ml-10m", "On netflix"]


def test_reasons_claim_no_more_than_is_known(answered, tmp_path):
    answered()
    folder = tmp_path / "quick"
    change(folder, "table1", lambda content: content["rows"][0].update(users=10**6))
    found = answers(load(folder, "quick"))
    assert found[0].findings[0].why == "Why it differs cannot be told from these data."
    answered()
    for name in ("table1", "fig7"):
        change(folder, name, lambda content: content["hardware"].update(backend="cuda"))
    found = answers(load(folder, "quick"))
    assert found[0].findings[0].why == "Why it differs cannot be told from these data."
    assert "CPU" not in found[2].findings[0].why


def test_no_test_is_no_significance(answered, tmp_path):
    answered()
    folder = tmp_path / "quick"
    nothing = {"p_value": None, "significant": None}
    change(folder, "table2", lambda content: [row.update(nothing) for row in content["tests"]])
    found = answers(load(folder, "quick"))
    assert "without a t-test" in found[3].findings[0].sentence
    assert "decides nothing" in found[3].findings[0].sentence


def test_findings_have_the_files_figures(tmp_path):
    write_results(tmp_path / "quick", epochs=3, losses=LOSSES | {"muppet": 0.03})
    results = load(tmp_path / "quick", "quick")
    (found,) = findings(results)
    text = " ".join(found.items)
    rows = json.loads((tmp_path / "quick/beyond.json").read_text())["rows"]
    named = {row["name"]: row for row in rows}
    assert f"less than the {named['fp16 (N1)']['loss']['mean']:+.4f} ± " in text
    assert f"MASCOT loses {named['mascot']['loss']['mean']:+.4f} ± " in text
    assert f"INT8 {named['int8']['loss']['mean']:+.4f} ± " in text
    (text,) = comparators(results)
    assert "MPT ends within 0.01 of FP32" in text
    assert "having computed in 8 bits from epoch 0, 12 bits from epoch 3, FP32 from" in text


def test_every_method_is_on_the_pareto_plot_once(tmp_path):
    write_results(tmp_path / "quick", epochs=3)
    found = places(load(tmp_path / "quick", "quick"), "synthetic ml-1m")
    labels = [place.variant.label for place in found]
    assert len(labels) == len(set(labels)) == 14  # beyond.json's 13, and N2 of Fig. 8
    assert {"MASCOT-N2", "FP16 storage, stochastic, in runs", "MASCOT, lost-update"} <= set(labels)


def place(rmse, moved):
    exact = [Quantity(value, value, value, (value, value)) for value in (rmse, 0.0, moved)]
    return Place(Variant("fp32"), *exact)


def test_front_is_what_nothing_beats():
    a, b, c, d = place(0.86, 1.0), place(0.87, 0.5), place(0.88, 0.5), place(0.86, 1.0)
    assert front([a, b, c]) == [a, b]
    assert front([a, d]) == [a, d]  # equals do not beat each other


def test_names_are_moved_apart():
    assert spread([1.0, 5.0], 1.0, 0.0, 9.0) == [1.0, 5.0]
    assert spread([1.0, 1.0, 1.2], 1.0, 0.0, 9.0) == [1.0, 2.0, 3.0]
    assert spread([8.8, 8.9, 9.0], 1.0, 0.0, 9.0) == [7.0, 8.0, 9.0]
    assert spread([0.0, 0.0, 0.0], 1.0, 0.0, 1.0) == [0.0, 1.0, 2.0]  # too many
