"""Boards and types a flow is made for."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('flows', '0001_flows'),
    ]

    operations = [
        migrations.AddField(
            model_name='flow',
            name='boards',
            field=models.JSONField(blank=True, default=list, help_text='Names of the boards it is made for; empty: all.'),
        ),
        migrations.AddField(
            model_name='flow',
            name='ticket_types',
            field=models.JSONField(blank=True, default=list, help_text='Types of tickets it is made for (Email, Email/Outlook); empty: all.'),
        ),
    ]
