"""What the chart's README says of who reaches whom is what the cluster's test tries out."""

from support.chart import reached


def test_the_readme_has_the_table_that_the_cluster_is_held_to():
    assert reached.in_readme() == reached.REACHED
